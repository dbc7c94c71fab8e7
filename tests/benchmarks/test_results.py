"""Targets are met or missed by the data alone, against the best that a target names."""

from dataclasses import asdict
from typing import Any

from benchmarks.figures import P50, RATE
from benchmarks.results import Judgement, SessionResult
from benchmarks.sessions import Target


def contender(name: str, rates: list[float], *, failed: bool = False) -> dict[str, Any]:
    return {
        "name": name,
        "title": name.title(),
        "peer": None if name == "ours" else name,
        "broker": "none",
        "database": "none",
        "load": {"pattern": "flood", "sagas": 10, "rate": 0.0},
        "runs": [{RATE: rate, P50: 1000 / rate} for rate in rates],
        "left_out": "it broke\nin its last line" if failed else None,
        "failed": failed,
    }


def session(*contenders: dict[str, Any], targets: tuple[Target, ...] = ()) -> SessionResult:
    return SessionResult.of(
        {
            "name": "flood-here",
            "title": "A flood",
            "control": "slow",
            "targets": [asdict(target) for target in targets],
            "contenders": list(contenders),
        }
    )


def judged(target: Target, *others: dict[str, Any]) -> list[Judgement]:
    return list(session(contender("ours", [400, 390, 900]), *others, targets=(target,)).judgements())


def at_least(bound: float) -> Target:
    return Target("at least", "ours", RATE, ("slow", "fast"), at_least=bound)


def test_a_target_is_judged_by_the_best_of_those_it_names() -> None:
    slow, fast = contender("slow", [100, 100, 100]), contender("fast", [200, 200, 200])
    (judgement,) = judged(at_least(2.0), slow, fast)
    assert (judgement.against, judgement.ratio.median, judgement.is_met) == ("Fast", 2.0, True)
    (judgement,) = judged(at_least(2.1), slow, fast)
    assert not judgement.is_met


def test_a_target_for_latency_is_met_from_below() -> None:
    slow, fast = contender("slow", [100, 100, 100]), contender("fast", [500, 500, 500])
    target = Target("at most", "ours", P50, ("slow", "fast"), at_most=1.25)
    (judgement,) = judged(target, slow, fast)
    assert (judgement.against, judgement.ratio.median, judgement.is_met) == ("Fast", 1.25, True)


def test_a_contender_that_failed_counts_for_nothing() -> None:
    slow, broken = contender("slow", [100, 100, 100]), contender("fast", [200], failed=True)
    (judgement,) = judged(at_least(3.0), slow, broken)
    assert (judgement.against, judgement.is_met) == ("Slow", True)
    assert judged(at_least(3.0), contender("slow", [1], failed=True), broken) == []


def test_the_figures_are_ratios_to_the_control() -> None:
    result = session(contender("ours", [300, 320, 280]), contender("slow", [100, 80, 140]))
    found = result.ratio("ours", RATE)
    assert found is not None
    assert (found.median, found.low, found.high) == (3.0, 2.0, 4.0)
    assert result.ratio("ours", "a figure nobody has") is None
