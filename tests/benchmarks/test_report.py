"""The page keeps what was written by hand, and its pictures are pictures."""

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks import report, results, svg
from benchmarks.figures import P50, P95, P99, RATE
from benchmarks.workload import BenchmarkFailed
from tests.benchmarks.test_results import contender

MAX_PICTURE_BYTES = 50_000


def results_file(folder: Path) -> Path:
    steady = [
        {**contender(f"ours-{rate}", [50.0]), "load": {"pattern": "steady", "sagas": 10, "rate": rate}}
        for rate in (25, 50)
    ]
    for one in steady:
        one["runs"] = [{RATE: 25.0, P50: 10.0, P95: 20.0, P99: 30.0}]
    told = {
        "made_at": "2026-01-01T00-00-00Z",
        "machine": {"processor": "2 cores"},
        "runs": 3,
        "is_quick": False,
        "memory": [{"sagas": 1000, "order_service": 100.0}, {"sagas": 3000, "order_service": 101.0}],
        "sessions": [
            {
                "name": "flood-here",
                "title": "A flood <here>",
                "control": "slow",
                "targets": [],
                "contenders": [contender("ours", [300, 310, 290]), contender("slow", [100, 90, 110])],
            },
            {
                "name": "steady-here",
                "title": "A steady arrival",
                "control": "slow",
                "targets": [],
                "contenders": [contender("slow", [100]), *steady],
            },
        ],
    }
    path = folder / "results.json"
    path.write_text(json.dumps(told))
    return path


@pytest.fixture
def page(tmp_path: Path) -> Path:
    copy = tmp_path / "page.md"
    copy.write_text(report.PAGE.read_text())
    report.write([results.load(results_file(tmp_path))], copy, tmp_path)
    return copy


def test_the_report_fills_the_markers_and_keeps_the_rest(page: Path) -> None:
    def by_hand(text: str) -> str:
        return re.sub(r"<!-- measured: .*?<!-- end of measured -->", "", text, flags=re.DOTALL)

    text = page.read_text()
    assert by_hand(text) == by_hand(report.PAGE.read_text())
    assert "| Ours | 10 | 300 (290 to 310) | 3.00 |" in text
    assert report.NOT_MEASURED in text  # of what is not in the file


def test_the_same_results_make_the_same_page(page: Path) -> None:
    before = page.read_text()
    report.write([results.load(results_file(page.parent))], page, page.parent)
    assert page.read_text() == before


def test_every_picture_that_the_page_shows_is_there_small_and_well_formed(page: Path) -> None:
    shown = set(re.findall(r"\(pictures/(benchmarks-[^)]+)\)", page.read_text()))
    assert shown == {"benchmarks-flood-here.svg", "benchmarks-steady-here.svg", "benchmarks-memory.svg"}
    for name in shown:
        picture = page.parent / name
        assert picture.stat().st_size < MAX_PICTURE_BYTES
        ElementTree.parse(picture)


def test_the_pictures_of_the_page_that_is_published_are_published() -> None:
    for name in re.findall(r"\((pictures/[^)]+)\)", report.PAGE.read_text()):
        assert (report.PAGE.parent / name).exists(), name


def test_a_page_without_a_marker_is_refused() -> None:
    with pytest.raises(BenchmarkFailed, match="0 times"):
        report.replaced("a page", "flood", ["a table"])


def test_a_chart_shows_value_range_and_ratio() -> None:
    drawn = svg.bars("Title & more", "sagas per second", [svg.Bar("ours", 300, 290, 310, "300 (3.00x)", True)])
    words = [element.text for element in ElementTree.fromstring(drawn).iter() if element.text]
    assert {"Title & more", "sagas per second", "ours", "300 (3.00x)", "0", "400"} <= set(words)
