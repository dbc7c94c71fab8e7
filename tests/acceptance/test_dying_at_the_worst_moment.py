"""A process that is killed exactly between commit and publish, or between publish and acknowledgement.

Asking again is set to ten minutes, so that only the unacknowledged message (design rule 5) can be what heals.
"""

from collections import Counter
from collections.abc import Iterator

import pytest

from local_stack.plan import SERVICES
from tests.support.dying import start_dying
from tests.support.system import System, assert_coherent, running_system

pytestmark = pytest.mark.slow
NO_ASKING_AGAIN = {"ORDER_SERVICE_ASK_AGAIN_AFTER_SECONDS": "600", "RESTAURANT_SERVICE_TRANSIENT_APPROVALS": "0"}

BATCH = 30
FIRST_STEP = "verify_consumer_details"
"""Sent once more by the due loop two seconds after the start, if there is no answer yet."""

CREATE = "restaurant_service.create_ticket"
AUTHORIZE = "accounting_service.authorize_card"
REJECT = "restaurant_service.reject_ticket"
MOMENTS = [
    pytest.param("before_publish", "order_service", AUTHORIZE, id="orchestrator-between-commit-and-publish"),
    pytest.param("after_publish", "order_service", AUTHORIZE, id="orchestrator-between-publish-and-acknowledgement"),
    pytest.param(
        "before_publish",
        "restaurant_service",
        f"{CREATE}.response.success",
        id="participant-between-commit-and-publish",
    ),
    pytest.param(
        "after_publish",
        "restaurant_service",
        f"{CREATE}.response.success",
        id="participant-between-publish-and-acknowledgement",
    ),
]
COMPENSATING = [
    pytest.param("before_publish", "order_service", REJECT, id="orchestrator-sending-a-compensation"),
    pytest.param(
        "before_publish", "restaurant_service", f"{REJECT}.response.success", id="participant-answering-a-compensation"
    ),
]


@pytest.fixture(
    params=["embedded", pytest.param("servers", marks=[pytest.mark.rabbitmq, pytest.mark.postgresql])], scope="module"
)
def system(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with running_system(request.param, tmp_path_factory.mktemp("system"), extra=NO_ASKING_AGAIN) as system:
        yield system


def carry_one_saga_through(system: System, moment: str, service: str, task: str, launch: str) -> Counter[str]:
    """Lets a worker die on the way of one saga, starts a sound one, and gives the events of the saga's history."""
    system.stop(service)
    doomed = start_dying(system.environment, moment, task, service)
    try:
        [saga_id] = system.launch(launch)
        assert doomed.wait(60.0) == -9
    finally:
        doomed.kill()
        doomed.wait()
        system.start(service)
    system.wait_for_the_end()
    assert_coherent(system.endings())
    rows = system.rows("order_service", "SELECT saga_id, event FROM saga_history")
    return Counter(event for owner, event in rows if str(owner).replace("-", "") == saga_id.replace("-", ""))


@pytest.mark.parametrize(("moment", "service", "task"), MOMENTS)
def test_a_saga_goes_on_after_a_death_on_its_way_forward(system: System, moment: str, service: str, task: str) -> None:
    """Design rule 5, forward."""
    events = carry_one_saga_through(system, moment, service, task, "success")
    assert events["succeeded"] == 1
    assert events["asked_again"] == 0
    assert events["command_sent"] == len(SERVICES)  # verify, create, authorize, approve: each decided on once


@pytest.mark.parametrize("moment", ["before_publish", "amid_publish", "after_publish"])
@pytest.mark.parametrize(
    ("service", "task", "gathered"),
    [
        pytest.param("order_service", CREATE, "consumer_service", id="orchestrator"),
        pytest.param("restaurant_service", f"{CREATE}.response.success", "order_service", id="participant"),
    ],
)
def test_a_whole_batch_of_sagas_goes_on_after_a_death(
    system: System, moment: str, service: str, task: str, gathered: str
) -> None:
    """Design rules 3 and 5: one transaction for all of them, some of what it led to sent, nothing acknowledged."""
    system.stop(service)
    before, seed = done_by(system, gathered), system.statuses().total()  # keys that no launch has used before
    saga_ids = {one.replace("-", "") for one in system.launch("success", BATCH, seed=seed, together=BATCH)}
    system.wait_until(lambda: done_by(system, gathered) == before + BATCH, 60.0, system.all_logs)
    doomed = start_dying(system.environment, moment, task, service)
    try:
        assert doomed.wait(60.0) == -9
    finally:
        doomed.kill()
        doomed.wait()
        system.start(service)
    system.wait_for_the_end()
    assert_coherent(system.endings())
    rows = system.rows("order_service", "SELECT saga_id, event, step FROM saga_history")
    events = Counter((event, step) for owner, event, step in rows if str(owner).replace("-", "") in saga_ids)
    assert events["succeeded", None] == BATCH
    for (event, step), count in events.items():
        assert event != "asked_again" or step == FIRST_STEP, "the broker was to deliver it again"
        assert event != "command_sent" or count == BATCH, f"{step}: decided on {count} times"


def done_by(system: System, service: str) -> int:
    """How many commands the service has done, or, of the orchestrator, how many sagas have come to the next step."""
    statement = (
        "SELECT count(*) FROM saga_history WHERE event = 'command_sent' AND step = 'create_restaurant_ticket'"
        if service == "order_service"
        else "SELECT count(*) FROM saga_participant_memory WHERE outcome IS NOT NULL"
    )
    [(count,)] = system.rows(service, statement)
    return int(count)


@pytest.mark.parametrize(("moment", "service", "task"), COMPENSATING)
def test_a_saga_goes_on_after_a_death_on_its_way_back(system: System, moment: str, service: str, task: str) -> None:
    """Design rule 5, backward."""
    events = carry_one_saga_through(system, moment, service, task, "card")
    assert events["failed"] == 1
    assert events["asked_again"] == 0
    assert events["compensation_sent"] == 1


def test_a_saga_whose_starter_died_between_commit_and_publish_is_sent_by_the_due_loop(system: System) -> None:
    """Design rule 7: the instance is inserted with a wake time, and the due loop is the relay."""
    before = system.statuses()["succeeded"]
    starter = start_dying(system.environment, "before_publish", "consumer_service.verify_consumer_details", "launch")
    assert starter.wait(60.0) == -9
    system.wait_for_the_end()
    assert system.statuses()["succeeded"] == before + 1
    assert_coherent(system.endings())
