"""The command line: `python -m benchmarks --help`."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from benchmarks import figures, ground, report, results, scale, suite
from benchmarks.contenders import Ours, peer_beside
from benchmarks.guard import guard
from benchmarks.results import ResultsFile
from benchmarks.sessions import Session, chosen, measure
from benchmarks.simulate import simulate
from benchmarks.tables import parts_table, session_table, storage_table, targets_table
from benchmarks.workload import BATCH, BenchmarkFailed, Load, Mode, Pattern
from local_stack.plan import CHECKOUT

RUNS = 3
QUICK_RUNS = 1

Command = Callable[..., Any]


@click.group()
def cli() -> None:
    """Measures CreateOrder, a saga of four remote steps, with real workers, beside other systems.

    Needs the environment that `make set-up-dev` makes, Linux, and an otherwise idle machine.
    """


def common_options(command: Command) -> Command:
    """How often, how long, and where to."""
    for option in (
        click.option("--runs", type=click.IntRange(1), help="Runs of each; the median counts.  [default: 3]"),
        click.option("--quick", is_flag=True, help="A few sagas, one run: to see that it works, never for a figure."),
        click.option("--out", type=click.Path(path_type=Path), help="The results file, instead of one in .local."),
    ):
        command = option(command)
    return command


@cli.command("run")
@click.option("--broker", type=click.Choice(list(ground.BROKERS)), default="embedded", show_default=True)
@click.option("--database", type=click.Choice(ground.DATABASES), default="sqlite", show_default=True)
@click.option(
    "--pattern", type=click.Choice([pattern.value for pattern in Pattern]), default="flood", show_default=True
)
@click.option("--mode", type=click.Choice([mode.value for mode in Mode]), default="forward", show_default=True)
@click.option("--sagas", type=click.IntRange(1), default=500, show_default=True)
@click.option("--batch", type=click.IntRange(1), default=BATCH, show_default=True, help="Sagas started a transaction.")
@click.option("--rate", type=float, default=50.0, show_default=True, help="Sagas a second of a steady arrival.")
@click.option("--control", default=suite.CONTROL, show_default=True, help="The peer measured in turn, or none.")
@common_options
def run(
    broker: str,
    database: str,
    pattern: str,
    mode: str,
    sagas: int,
    batch: int,
    rate: float,
    control: str,
    runs: int | None,
    quick: bool,
    out: Path | None,
) -> None:
    """One combination, beside a control."""
    load = Load(Pattern(pattern), sagas, Mode(mode), batch if pattern == "flood" else 1, rate)
    ours = Ours(suite.OURS, "sagas_framework", load, broker, database)
    contenders = (ours,) if control == ground.NONE else (ours, peer_beside(ours, control, load))
    session = Session("run", f"{pattern}, {mode}, on {broker} and {database}", contenders, contenders[-1].name)
    measure_all([session], runs, quick, out)


@cli.command("suite")
@click.option("--only", multiple=True, help="The name of a session; may be repeated.")
@click.option("--list", "is_list", is_flag=True, help="Name the sessions and end.")
@common_options
def whole_suite(only: tuple[str, ...], is_list: bool, runs: int | None, quick: bool, out: Path | None) -> None:
    """All comparisons of the results page (`make bench`)."""
    if is_list:
        for session in suite.SESSIONS:
            click.echo(f"{session.name:32} {session.title}")
        return
    measure_all(chosen(suite.SESSIONS, only), runs, quick, out)


@cli.command("report")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
def write_report(files: tuple[Path, ...]) -> None:
    """Write the tables and pictures of docs/benchmarks.md from results files; a later file wins."""
    for path in report.write([results.load(path) for path in files]):
        click.echo(f"wrote {path.relative_to(CHECKOUT)}")


@cli.group("scale")
def scale_group() -> None:
    """How it grows: with processes, with finished sagas, with time."""


@scale_group.command("orchestrators")
@common_options
def orchestrators(runs: int | None, quick: bool, out: Path | None) -> None:
    """One, two and four orchestrator processes."""
    measure_all(scale.ORCHESTRATORS, runs, quick, out)


@scale_group.command("finished")
@click.option("--most", type=click.IntRange(1), default=scale.MOST_FINISHED, show_default=True)
@common_options
def finished(most: int, runs: int | None, quick: bool, out: Path | None) -> None:
    """None, 1,000, 100,000 and 1,000,000 finished sagas in the databases."""
    measure_all(scale.finished_sessions(most), runs, quick, out)


@scale_group.command("memory")
@click.option("--sagas", type=click.IntRange(1), default=scale.SAGAS_FOR_MEMORY, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help="The results file, instead of one in .local.")
def memory(sagas: int, out: Path | None) -> None:
    """The memory of the workers after 1,000 sagas and up to this many. Long."""
    file = ResultsFile(1, is_quick=sagas < scale.SAGAS_FOR_MEMORY, path=out)
    file.add_memory(scale.measure_memory(suite.SERVERS, sagas, click.echo))
    click.echo(f"\nresults: {file.path}")


cli.add_command(guard)
cli.add_command(simulate)


def measure_all(sessions: Sequence[Session], runs: int | None, quick: bool, out: Path | None) -> None:
    runs = runs or (QUICK_RUNS if quick else RUNS)
    file = ResultsFile(runs, is_quick=quick, path=out)
    for session in sessions:
        file.add_session(measure(session.quick() if quick else session, runs, click.echo))
        show(results.load(file.path))
    click.echo(f"\nresults: {file.path}")
    if results.load(file.path).has_failed:
        raise BenchmarkFailed("a contender failed: see above")


def show(found: results.Results) -> None:
    """The session that was measured last."""
    session = found.sessions[-1]
    blocks = (
        session_table(session),
        parts_table(session, figures.CPU),
        storage_table(session),
        targets_table(list(session.judgements())) if session.targets else [],
    )
    for block in blocks:
        click.echo("\n" + "\n".join(block) if block else "", nl=bool(block))


def main() -> None:
    try:
        cli()
    except BenchmarkFailed as failure:
        sys.exit(f"benchmarks: {failure}")
