"""The guard of what a saga costs: that it holds, and that it can fail."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Connection, event

from benchmarks import ground
from benchmarks import guard as module
from benchmarks.cli import cli
from benchmarks.guard import Figures
from benchmarks.in_process import COMMITS, FIGURES, MESSAGES, STATEMENTS, system_on
from benchmarks.workload import BenchmarkFailed

PLACE = "sqlite, forward, batches of 1, accounting_service"
MESSAGES_OF_A_SAGA = 8
Guard = Callable[..., Result]


@pytest.fixture(scope="module")
def now() -> Figures:
    """What a saga costs on SQLite."""
    return module.measured_on("sqlite")


@pytest.fixture
def record(tmp_path: Path, now: Figures) -> Path:
    """A record of what it costs now."""
    path = tmp_path / "record.json"
    module.write_record(path, now)
    return path


@pytest.fixture
def run_guard(now: Figures, record: Path, monkeypatch: pytest.MonkeyPatch) -> Guard:
    """The command, without counting once more."""
    monkeypatch.setattr(module, "measured_on", {"sqlite": now}.__getitem__)

    def run(*arguments: str, databases: tuple[str, ...] = ("sqlite",)) -> Result:
        named = [word for database in databases for word in ("--database", database)]
        return CliRunner().invoke(cli, ["guard", "--file", str(record), *named, *arguments])

    return run


def changed(figures: Figures, change: float) -> Figures:
    return {**figures, PLACE: {**figures[PLACE], STATEMENTS: figures[PLACE][STATEMENTS] + change}}


def test_a_saga_costs_no_more_than_is_recorded(now: Figures) -> None:
    recorded = module.of_databases(module.read_record(module.RECORD), ["sqlite"])
    assert recorded, f"the record is of other inputs; renew it: {module.RENEW}"
    rises = [difference for difference in module.differences(recorded, now) if difference.is_rise]
    assert not rises, f"{rises}; if it has to be: {module.RENEW}"


def test_every_place_has_every_figure(now: Figures) -> None:
    assert len(now) == 2 * 2 * 5  # modes, batches, parts
    assert all(set(counts) == set(FIGURES) for counts in now.values())
    totals: dict[str, float] = {}
    for place, counts in now.items():
        totals[place.rpartition(", ")[0]] = totals.get(place.rpartition(", ")[0], 0.0) + counts[MESSAGES]
    assert set(totals.values()) == {MESSAGES_OF_A_SAGA}


def test_one_more_statement_in_one_transaction_is_a_rise(now: Figures) -> None:
    def ask_more(connection: Connection) -> None:
        connection.exec_driver_sql("SELECT 1")

    with system_on("sqlite") as system:
        event.listen(system.engines["accounting_service"], "begin", ask_more)
        more = module.measure(system, "sqlite")
    found = module.differences(now, more)
    assert found and all(difference.is_rise for difference in found)
    assert {difference.place.rpartition(", ")[2] for difference in found} == {"accounting_service"}
    assert more[PLACE][STATEMENTS] == now[PLACE][STATEMENTS] + now[PLACE][COMMITS]


def test_the_guard_lets_pass_what_is_as_recorded(run_guard: Guard) -> None:
    result = run_guard()
    assert result.exit_code == 0 and "As recorded." in result.output


def test_the_guard_fails_above_the_record_and_says_where_and_how_to_renew_it(
    run_guard: Guard, record: Path, now: Figures
) -> None:
    module.write_record(record, changed(now, -1))
    result = run_guard()
    assert result.exit_code == 1
    count = now[PLACE][STATEMENTS]
    assert f"| {PLACE} | {STATEMENTS} | {count - 1:g} | {count:g} | +1 |" in result.output
    assert module.RENEW in result.output and "say why" in result.output


def test_the_guard_asks_to_keep_what_was_won(run_guard: Guard, record: Path, now: Figures) -> None:
    module.write_record(record, changed(now, +1))
    result = run_guard()
    assert result.exit_code == 0
    assert "costs less" in result.output and module.RENEW in result.output


def test_a_fall_makes_up_for_no_rise(run_guard: Guard, record: Path, now: Figures) -> None:
    risen = changed(now, -1)
    risen[PLACE][COMMITS] += 1
    module.write_record(record, risen)
    assert run_guard().exit_code == 1


def test_a_figure_that_nobody_has_recorded_fails(run_guard: Guard, record: Path, now: Figures) -> None:
    module.write_record(record, {place: counts for place, counts in now.items() if place != PLACE})
    assert run_guard().exit_code == 1


def test_recording_renews_the_record_and_leaves_the_other_database_alone(
    run_guard: Guard, record: Path, now: Figures
) -> None:
    other: Figures = {"postgresql, forward, batches of 1, accounting_service": {STATEMENTS: 1.0}}
    module.write_record(record, other | changed(now, -1))
    result = run_guard("--record")
    assert result.exit_code == 0 and "say why" in result.output
    assert module.read_record(record) == other | now


def test_a_record_of_other_inputs_is_none(
    run_guard: Guard, record: Path, now: Figures, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "INPUTS", {"seed": 2})
    result = run_guard()
    assert isinstance(result.exception, BenchmarkFailed) and module.RENEW in str(result.exception)


def test_without_postgresql_it_is_left_out_aloud_unless_it_is_required(
    run_guard: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(broker: str, database: str) -> str | None:
        return "it has gone" if database == "postgresql" else None

    monkeypatch.setattr(ground, "missing", missing)
    monkeypatch.delenv("REQUIRE_SERVICES", raising=False)
    result = run_guard(databases=("postgresql", "sqlite"))
    assert result.exit_code == 0 and "postgresql is left out: it has gone" in result.output
    assert isinstance(run_guard("--record", databases=("postgresql", "sqlite")).exception, BenchmarkFailed)
    monkeypatch.setenv("REQUIRE_SERVICES", "1")
    assert isinstance(run_guard(databases=("postgresql", "sqlite")).exception, BenchmarkFailed)
