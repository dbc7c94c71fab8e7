"""The simulation: that it adds up, and says what queues must say. How near it is to life, only a run can tell."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks import simulation_costs
from benchmarks.cli import cli
from benchmarks.events import Clock, Machine, Program
from benchmarks.simulation import (
    BROKER,
    CONNECTIONS,
    DATABASE,
    MAX_BATCH,
    PATH,
    Flow,
    Layout,
    Outcome,
    Simulation,
    Station,
    cores_of,
    queue_of,
)
from benchmarks.simulation_costs import ORCHESTRATOR, PRODUCER, WORKERS, Check
from benchmarks.workload import BenchmarkFailed

COSTS, CHECKS = simulation_costs.read()
SAGAS = 600
ONE_MACHINE = Layout(cores=2)


def outcome(layout: Layout = ONE_MACHINE, flow: Flow | None = None) -> Outcome:
    return Simulation(COSTS, layout, flow or Flow(SAGAS)).run()


def apart(processes: int, *stations: str, reply_queues: int = 1) -> Outcome:
    return outcome(Layout(None, dict.fromkeys(stations, processes), reply_queues))


def batch(station: Station) -> float:
    return station.messages / station.batches


def test_the_same_inputs_give_the_same_outcome() -> None:
    assert outcome() == outcome()
    assert apart(3, *WORKERS) == apart(3, *WORKERS)


@pytest.mark.parametrize("layout", [ONE_MACHINE, Layout(2, {ORCHESTRATOR: 4}), Layout(None, {ORCHESTRATOR: 4}, 2)])
def test_every_saga_ends_and_every_message_is_handled_once(layout: Layout) -> None:
    stations = outcome(layout).stations
    assert {name: stations[name].messages for name in WORKERS} == {
        PRODUCER: SAGAS,
        **{name: SAGAS * PATH.count(name) for name in WORKERS if name != PRODUCER},
    }
    assert sum(stations[queue_of(name)].messages for name in WORKERS if name != PRODUCER) == SAGAS * len(PATH)
    assert stations[CONNECTIONS].messages == 2 * SAGAS * len(PATH)  # in and out
    assert sum(stations[name].published for name in WORKERS) == SAGAS * len(PATH)


def test_work_is_neither_lost_nor_invented() -> None:
    found = outcome()
    demanded = 0.0
    for name in WORKERS:
        cost, station = COSTS.stations[name], found.stations[name]
        receive_ms = 0.0 if name == PRODUCER else COSTS.receive_ms
        a_batch = COSTS.wake_ms + cost.batch_cpu_ms + COSTS.database_wake_ms + cost.batch_database_ms
        a_message = receive_ms + cost.message_cpu_ms + cost.message_database_ms
        demanded += station.batches * a_batch + station.messages * a_message
        demanded += station.published * (COSTS.publish_ms + 2 * COSTS.connection_ms + COSTS.queue_ms)
    of_the_broker = [CONNECTIONS, *(queue_of(name) for name in WORKERS if name != PRODUCER)]
    demanded += sum(found.stations[name].batches for name in of_the_broker) * COSTS.broker_wake_ms
    (share,) = found.machines.values()
    assert share * 2 * found.seconds * 1000 == pytest.approx(demanded)


@pytest.mark.parametrize("processes", [1, 8])
def test_nobody_does_more_than_he_can(processes: int) -> None:
    for found in (outcome(Layout(2, {ORCHESTRATOR: processes})), apart(processes, *WORKERS)):
        assert all(share <= 1 + 1e-9 for share in found.machines.values())
        assert all(found.busy(name) <= 1 + 1e-9 for name in found.stations)
        assert all(batch(found.stations[name]) <= MAX_BATCH for name in WORKERS)


def test_batches_grow_with_the_load_and_so_does_the_latency() -> None:
    found = [outcome(flow=Flow(SAGAS, rate=rate)) for rate in (20, 200, 400)]
    batches = [batch(one.stations[ORCHESTRATOR]) for one in found]
    assert batches[0] == 1.0 and batches == sorted(set(batches))
    assert found[0].latency_ms(95) < found[1].latency_ms(95) < found[2].latency_ms(95)
    assert found[0].rate == pytest.approx(20, rel=0.05)


def test_a_saga_alone_waits_for_its_own_work_only() -> None:
    found = outcome(flow=Flow(20, rate=1))
    assert max(found.latencies_ms) == pytest.approx(min(found.latencies_ms))
    own_work = sum(
        (cost.batch_cpu_ms + cost.message_cpu_ms + cost.batch_database_ms + cost.message_database_ms)
        * (PATH.count(name) or 1)
        for name, cost in COSTS.stations.items()
    )
    assert found.latency_ms(50) > own_work


def test_more_orchestrators_on_machines_of_their_own_carry_more_until_another_station_is_the_bottleneck() -> None:
    found = [apart(many, ORCHESTRATOR) for many in (1, 2, 4, 8)]
    assert found[0].bottleneck == ORCHESTRATOR
    assert found[1].rate > 1.2 * found[0].rate
    assert found[2].bottleneck == found[3].bottleneck != ORCHESTRATOR
    assert found[3].rate == pytest.approx(found[2].rate, rel=0.05)


def test_with_more_of_every_worker_the_one_reply_queue_is_the_next_bottleneck_and_more_of_them_help() -> None:
    one, many = (outcome(Layout(None, dict.fromkeys(WORKERS, 16), queues), Flow(3000)) for queues in (1, 8))
    assert one.bottleneck == queue_of(ORCHESTRATOR)
    assert many.rate > 1.2 * one.rate
    assert many.bottleneck != queue_of(ORCHESTRATOR)


def test_more_orchestrators_on_the_same_cores_take_smaller_batches_and_carry_no_more_in_the_end() -> None:
    found = [outcome(Layout(2, {ORCHESTRATOR: many})) for many in (1, 2, 4, 8)]
    batches = [batch(one.stations[ORCHESTRATOR]) for one in found]
    assert batches == sorted(batches, reverse=True)
    assert found[3].rate < found[0].rate
    assert {one.bottleneck for one in found} == {"the cores"}


def test_a_reply_queue_without_an_orchestrator_is_refused() -> None:
    with pytest.raises(BenchmarkFailed, match="no orchestrator"):
        Layout(None, {ORCHESTRATOR: 2}, reply_queues=3)


def test_the_cores_of_a_machine_are_shared_evenly() -> None:
    clock = Clock()
    machine, ended = Machine(clock, cores=2), dict[str, float]()

    def program(name: str, begin: float, work: float) -> Program:
        yield clock.wait(begin)
        yield machine.work(work)
        ended[name] = clock.now

    clock.run([program("long", 0, 9), program("short", 0, 3), program("late", 1, 2)])
    # From 1 on, three share two cores: "late" has had its 2 after 3 more, at 4; so has "short", which had had 1.
    assert ended == pytest.approx({"short": 4.0, "late": 4.0, "long": 10.0})
    assert machine.used_ms == 14


def test_another_machines_costs_change_what_they_name_and_no_more(tmp_path: Path) -> None:
    file = tmp_path / "costs.json"
    file.write_text(json.dumps({"stations": {"consumer": {"batch_cpu_ms": 9}}, "others": {"commit_ms": {"value": 2}}}))
    costs, checks = simulation_costs.read(file)
    assert (costs.stations["consumer"].batch_cpu_ms, costs.commit_ms) == (9, 2)
    assert costs.stations["restaurant"] == COSTS.stations["restaurant"] and checks == CHECKS
    assert Simulation(costs, ONE_MACHINE, Flow(100)).run().rate < outcome(flow=Flow(100)).rate


def test_a_cost_that_there_is_not_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "costs.json"
    file.write_text('{"others": {"comit_ms": {"value": 2}}}')
    with pytest.raises(BenchmarkFailed, match="'comit_ms'"):
        simulation_costs.read(file)


def test_every_cost_says_how_it_is_known() -> None:
    told = json.loads(simulation_costs.MEASURED.read_text())
    assert all(entry["how"] for group in ("stations", "others") for entry in told[group].values())


def test_the_command_tells_all_layouts_and_how_far_off_it_is() -> None:
    result = CliRunner().invoke(cli, ["simulate", "--sagas", "100"], catch_exceptions=False)
    assert result.exit_code == 0
    assert all(check.what in result.output for check in CHECKS)
    assert result.output.count("all on 2 cores") == 2 * 4
    assert all(name in result.output for name in (queue_of(ORCHESTRATOR), cores_of(BROKER), cores_of(DATABASE)))


@pytest.mark.parametrize("check", [check for check in CHECKS if check.sagas >= 100], ids=lambda check: str(check.what))
def test_it_is_roughly_what_was_measured(check: Check) -> None:
    """Within two fifths; a short burst, of which most is starting up, is not what it simulates."""
    flow = Flow(check.sagas, check.together, check.rate)
    simulated = outcome(Layout(check.cores, {ORCHESTRATOR: check.orchestrators}), flow).figures()[check.figure]
    assert simulated == pytest.approx(check.measured, rel=0.4)
