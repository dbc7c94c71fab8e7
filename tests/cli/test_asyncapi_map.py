"""`sagas asyncapi map`, as somebody types it who wants to know who speaks to whom."""

import json
from pathlib import Path

import pytest

from local_stack.plan import CHECKOUT
from tests.cli.conftest import Run
from tests.cli.test_commands import fine, refused
from tests.support.documents import document, receives, sends

ORDER = document("Order service", sends("kitchen.cook", "kitchen.commands", "orders"))
KITCHEN = document("Kitchen", receives("kitchen.cook", "kitchen.commands"))


@pytest.fixture
def documents(folder: Path) -> None:
    for name, each in (("order", ORDER), ("kitchen", KITCHEN)):
        (folder / f"{name}.json").write_text(json.dumps(each))


@pytest.mark.usefixtures("documents")
def test_the_named_documents_are_drawn_in_the_wanted_form(run: Run, folder: Path) -> None:
    sources = ("order.json", "kitchen.json")
    assert "Order service -> Kitchen\n" in fine(run("asyncapi", "map", *sources))
    assert fine(run("asyncapi", "map", *sources, "--format", "mermaid")).startswith("flowchart LR\n")
    said = fine(run("asyncapi", "map", *sources, "--format", "svg", "--output", "system.svg"))
    assert said == "the system of 2 services is drawn in system.svg\n"
    assert (folder / "system.svg").read_text().startswith("<svg xmlns=")
    assert "cannot be written" in refused(run("asyncapi", "map", *sources, "--output", "no/such/folder"))


@pytest.mark.usefixtures("documents")
def test_without_a_source_the_system_is_that_of_pyproject(run: Run, folder: Path) -> None:
    assert "which services?" in refused(run("asyncapi", "map"), exit_code=2)
    (folder / "pyproject.toml").write_text('[tool.sagas]\nasyncapi = ["order.json"]\n')
    assert "Order service -> (nobody here receives this)" in fine(run("asyncapi", "map"))


def test_a_document_that_is_not_there_is_named(run: Run) -> None:
    assert "no.yaml cannot be read" in refused(run("asyncapi", "map", "no.yaml"))


def test_the_services_of_this_system_have_all_found_each_other(run: Run) -> None:
    kept = sorted(str(path) for path in (CHECKOUT / "docs" / "asyncapi").glob("*.yaml"))
    first, *_ = fine(run("asyncapi", "map", *kept)).splitlines()
    assert first == "4 services, 6 messages."  # and nothing that nobody sends, receives or agrees on


def test_the_words_of_a_document_stay_in_their_line_and_do_nothing_to_a_terminal(run: Run, folder: Path) -> None:
    odd = document("Or\x1b[2Jder\nall is well", sends("kitchen.cook", "kitchen.commands", "orders", title="Co\nok"))
    (folder / "odd.json").write_text(json.dumps(odd))
    told = fine(run("asyncapi", "map", "odd.json"))
    assert "Or[2Jder all is well -> (nobody here receives this)\n" in told
    assert "Co ok" in told
    assert "\x1b" not in told
