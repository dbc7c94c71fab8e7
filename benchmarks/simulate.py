"""`python -m benchmarks simulate`: the simulation beside what was measured, and what it says of other machines."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import click

from benchmarks import simulation_costs
from benchmarks.simulation import BROKER, DATABASE, Flow, Layout, Outcome, Simulation, cores_of, queue_of
from benchmarks.simulation_costs import ORCHESTRATOR, WORKERS, Check, Costs
from benchmarks.tables import NOTHING, number, table

SAGAS = 4000
ORCHESTRATORS = (1, 2, 4, 8)
COLUMNS = (*WORKERS, queue_of(ORCHESTRATOR), cores_of(BROKER), cores_of(DATABASE))

LayoutOf = Callable[[int], Layout]
LAYOUTS: dict[str, LayoutOf] = {
    "all on 2 cores": lambda many: Layout(2, {ORCHESTRATOR: many}),
    "machines of their own": lambda many: Layout(None, {ORCHESTRATOR: many}),
    "the same, so many of every worker": lambda many: Layout(None, dict.fromkeys(WORKERS, many)),
    "the same, so many reply queues too": lambda many: Layout(None, dict.fromkeys(WORKERS, many), many),
}


@click.command("simulate")
@click.option("--sagas", type=click.IntRange(1), default=SAGAS, show_default=True)
@click.option("--rate", type=click.FloatRange(0, min_open=True), help="Sagas a second, one by one, instead of a flood.")
@click.option(
    "--costs",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Costs of another machine, in the form of benchmarks/simulation_costs.json; what it leaves out stays.",
)
def simulate(sagas: int, rate: float | None, file: Path | None) -> None:
    """What 1, 2, 4 and 8 orchestrators would carry, here and on machines of their own: calculated, not measured."""
    costs, checks = simulation_costs.read(file)
    say(["The simulation beside what was measured:", "", *checks_table(costs, checks), ""])
    flow = Flow(sagas, rate=rate)
    arriving = "a flood, 25 a transaction" if rate is None else f"{rate:g} a second, each in a transaction of its own"
    outcomes = [
        (name, many, Simulation(costs, layout(many), flow).run())
        for name, layout in LAYOUTS.items()
        for many in ORCHESTRATORS
    ]
    say([f"Simulated, {sagas:,} sagas, {arriving}:", "", *rates_table(outcomes), ""])
    say(["Messages in a batch, and how much of the time somebody is at it:", "", *stations_table(outcomes)])


def checks_table(costs: Costs, checks: Iterable[Check]) -> list[str]:
    rows = []
    for check in checks:
        flow = Flow(check.sagas, check.together, check.rate)
        outcome = Simulation(costs, Layout(check.cores, {ORCHESTRATOR: check.orchestrators}), flow).run()
        simulated = outcome.figures()[check.figure]
        off = simulated / check.measured - 1
        rows.append([check.what, number(check.measured), number(simulated), f"{off:+.0%}"])
    return table(("", "measured", "simulated", "off by"), rows)


def rates_table(outcomes: Sequence[tuple[str, int, Outcome]]) -> list[str]:
    head = ("", "orchestrators", "sagas/s", "p50 ms", "p95 ms", "bottleneck", "of its capacity")
    rows = []
    for name, many, outcome in outcomes:
        load = f"{outcome.loads[outcome.bottleneck]:.0%}"
        figures = [number(value) for value in (outcome.rate, outcome.latency_ms(50), outcome.latency_ms(95))]
        rows.append([name, str(many), *figures, outcome.bottleneck, load])
    return table(head, rows)


def stations_table(outcomes: Sequence[tuple[str, int, Outcome]]) -> list[str]:
    rows = [[name, str(many), *(_cell(outcome, of) for of in COLUMNS)] for name, many, outcome in outcomes]
    return table(("", "orchestrators", *COLUMNS), rows)


def _cell(outcome: Outcome, of: str) -> str:
    if of in outcome.machines:
        return f"{outcome.machines[of]:.0%}"
    station = outcome.stations.get(of)
    if station is None:
        return NOTHING
    busy = f"{outcome.busy(of):.0%}"
    return f"{number(station.messages / station.batches)}, {busy}" if of in WORKERS else busy


def say(lines: Sequence[str]) -> None:
    click.echo("\n".join(lines))
