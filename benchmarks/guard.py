"""What a saga costs, counted and compared with the record: a rise is a failure. No clock has a say in it."""

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import click

from benchmarks import ground
from benchmarks.in_process import FIGURES, Counts, InProcess, system_on
from benchmarks.placing import ORDERS
from benchmarks.tables import NOTHING, table
from benchmarks.verdict import ENDS
from benchmarks.workload import BenchmarkFailed, Mode
from local_stack.plan import CHECKOUT

RECORD = CHECKOUT / "benchmarks" / "guard_figures.json"
RENEW = "make bench-guard ARGS=--record"
SEED = 1
BATCHES = {1: 10, 100: 2}
"""Sagas handled together, and how often."""
WARM_UP_SAGAS = 10
"""What a connection asks once, when it is new, is no saga's cost."""
DIGITS = 4

INPUTS = {"seed": SEED, "batches": {str(size): times for size, times in BATCHES.items()}, "warm_up": WARM_UP_SAGAS}

Figures = dict[str, dict[str, float]]
"""Per saga: by place (database, mode, batch and part, in words), and by figure."""


@dataclass(frozen=True)
class Difference:
    place: str
    figure: str
    recorded: float | None
    now: float | None

    @property
    def is_rise(self) -> bool:
        """What nobody has recorded must be recorded first."""
        return self.now is not None and (self.recorded is None or self.now > self.recorded)


def measure(system: InProcess, database: str) -> Figures:
    """All modes and batches, always in the same order: the ids in the messages grow."""
    figures: Figures = {}
    placed = dict.fromkeys(ORDERS, 0)
    for mode in ORDERS:
        _carry(system, mode, 1, WARM_UP_SAGAS)
        placed[mode] += WARM_UP_SAGAS
        for batch, times in BATCHES.items():
            sagas = batch * times
            counts = _carry(system, mode, batch, sagas)
            figures |= {
                f"{database}, {mode}, batches of {batch}, {part}": {
                    figure: round(counted[figure] / sagas, DIGITS) for figure in FIGURES
                }
                for part, counted in counts.items()
            }
            placed[mode] += sagas
    system.require_endings(
        {ENDS[mode][0]: count for mode, count in placed.items()},
        {ENDS[mode][1].value: count for mode, count in placed.items()},
    )
    return figures


def _carry(system: InProcess, mode: Mode, batch: int, sagas: int) -> Counts:
    random = Random(SEED)
    return system.carry([ORDERS[mode](random) for _ in range(sagas)], batch)


def measured_on(database: str) -> Figures:
    with system_on(database) as system:
        return measure(system, database)


def differences(recorded: Figures, now: Figures) -> list[Difference]:
    found: list[Difference] = []
    for place in {**recorded, **now}:
        before, after = recorded.get(place, {}), now.get(place, {})
        for figure in {**before, **after}:
            difference = Difference(place, figure, before.get(figure), after.get(figure))
            if difference.recorded != difference.now:
                found.append(difference)
    return found


# ---- the record -----------------------------------------------------------------------------------------------------


def read_record(path: Path) -> Figures:
    """Empty when there is none, or one of other inputs, with which nothing can be compared."""
    content = json.loads(path.read_text()) if path.exists() else {}
    figures: Figures = content["figures"] if content.get("inputs") == INPUTS else {}
    return figures


def write_record(path: Path, figures: Figures) -> None:
    """A line a place, so that a diff shows what has changed where."""
    lines = ",\n".join(f"    {json.dumps(place)}: {json.dumps(figures[place])}" for place in sorted(figures))
    path.write_text(f'{{\n  "inputs": {json.dumps(INPUTS)},\n  "figures": {{\n{lines}\n  }}\n}}\n')


def of_databases(figures: Figures, databases: Sequence[str]) -> Figures:
    return {place: counts for place, counts in figures.items() if place.partition(",")[0] in databases}


# ---- what is said ---------------------------------------------------------------------------------------------------


def totals_table(figures: Figures) -> list[str]:
    """All parts of the system together; the parts are in the record."""
    totals: dict[str, dict[str, float]] = {}
    for place, counts in figures.items():
        total = totals.setdefault(place.rpartition(", ")[0], dict.fromkeys(FIGURES, 0.0))
        for figure, count in counts.items():
            total[figure] += count
    rows = [[name, *(_number(total[figure]) for figure in FIGURES)] for name, total in totals.items()]
    return table(("per saga", *FIGURES), rows)


def differences_table(found: Sequence[Difference]) -> list[str]:
    return table(
        ("per saga", "figure", "recorded", "now", "difference"),
        [
            [one.place, one.figure, _number(one.recorded), _number(one.now), _number(_gap(one), sign="+")]
            for one in found
        ],
    )


def _gap(one: Difference) -> float | None:
    return None if one.now is None or one.recorded is None else one.now - one.recorded


def _number(value: float | None, sign: str = "") -> str:
    return NOTHING if value is None else f"{round(value, DIGITS):{sign}.10g}"


# ---- the command ----------------------------------------------------------------------------------------------------


@click.command("guard")
@click.option("--record", "is_recording", is_flag=True, help="Write the figures of now into the record.")
@click.option("--database", "databases", multiple=True, type=click.Choice(ground.DATABASES), help="Only this one.")
@click.option(
    "--file", type=click.Path(path_type=Path), default=RECORD, help="The record.  [default: the repository's]"
)
def guard(is_recording: bool, databases: tuple[str, ...], file: Path) -> None:
    """Count what a saga costs (`make bench-guard`): fails when a figure is above the record."""
    chosen = _present(databases or ground.DATABASES, must_be_there=is_recording)
    if not chosen:
        return
    now: Figures = {}
    for database in chosen:
        now |= measured_on(database)
    say(totals_table(now))
    record = read_record(file)
    comparable = of_databases(record, chosen)
    found = differences(comparable, now)
    if is_recording:
        others = {place: counts for place, counts in record.items() if place not in comparable}
        write_record(file, others | now)
        say_recorded(found if comparable else [], file)
    elif comparable:
        judge(found)
    else:
        raise BenchmarkFailed(f"{file} has no figures of these inputs; {RENEW} writes them")


def _present(databases: Sequence[str], *, must_be_there: bool) -> list[str]:
    present = []
    for database in databases:
        reason = ground.missing(ground.NONE, database)
        if reason is None:
            present.append(database)
        elif must_be_there:
            raise BenchmarkFailed(f"{reason}; the record has both databases (or name one: --database sqlite)")
        elif os.environ.get("REQUIRE_SERVICES") == "1":
            raise BenchmarkFailed(f"{reason}, and REQUIRE_SERVICES=1 asks for it")
        else:
            click.echo(f"{database} is left out: {reason}\n")
    return present


def judge(found: Sequence[Difference]) -> None:
    """Ends the process with 1 when anything has risen."""
    rises = [one for one in found if one.is_rise]
    falls = [one for one in found if not one.is_rise]
    if falls:
        say(["", "Below the record:", "", *differences_table(falls)])
    if rises:
        say(["", "Above the record:", "", *differences_table(rises)])
        say(["", f"A saga costs more than is recorded. If it has to: {RENEW}", "and say why in the commit's message."])
        sys.exit(1)
    say(["", f"A saga costs less than is recorded. Keep it so: {RENEW}" if falls else "As recorded."])


def say_recorded(found: Sequence[Difference], file: Path) -> None:
    if found:
        say(["", *differences_table(found)])
    say(["", f"Recorded in {file}."])
    if any(one.is_rise for one in found):
        say(["Some figures rose: say why in the commit's message."])


def say(lines: Sequence[str]) -> None:
    click.echo("\n".join(lines))
