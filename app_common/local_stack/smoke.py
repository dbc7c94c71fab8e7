"""The five sagas, launched over HTTP, and whether each ended as it must."""

import http.client
import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import NullPool, create_engine, text

from local_stack.health import REQUEST_TIMEOUT_SECONDS, free_port
from local_stack.messages import Console, StackError
from local_stack.plan import PORT_VARIABLE, SERVICES, Page, Plan, docs_variable, make_plan
from local_stack.processes import Supervisor
from local_stack.stack import running

END_SECONDS = 60.0
ENDED = ("succeeded", "failed", "needs_attention")


@dataclass(frozen=True)
class Outcome:
    """Everything that a saga leaves behind, in all databases."""

    saga: str
    failed_step: str | None
    order: str
    tickets: tuple[str, ...]
    authorizations: tuple[str, ...]

    def __str__(self) -> str:
        failed = f" at {self.failed_step}" if self.failed_step else ""
        ticket = ", ".join(self.tickets) or "none"
        authorization = ", ".join(self.authorizations) or "none"
        return f"saga {self.saga}{failed}; order {self.order}; ticket {ticket}; authorization {authorization}"


APPROVED = Outcome("succeeded", None, "approved", ("approved",), ("authorized",))
REFUSED_CONSUMER = Outcome("failed", "verify_consumer_details", "rejected", (), ())
# The orchestrator's own code fails while it makes the card's command, so these two end alike.
REFUSED_CARD = Outcome("failed", "authorize_card", "rejected", ("rejected",), ())


@dataclass(frozen=True)
class Launch:
    path: str
    story: str
    ends: tuple[Outcome, ...]


LAUNCHES = (
    Launch("/run-success-saga", "everything goes well", (APPROVED,)),
    Launch(
        "/run-saga-failing-on-consumer-verification-because-of-incorrect-id",
        "the consumer is refused",
        (REFUSED_CONSUMER,),
    ),
    Launch("/run-saga-failing-on-card-authorization", "the card is refused", (REFUSED_CARD,)),
    Launch("/run-saga-where-orchestrator-code-fails", "the orchestrator's own code fails", (REFUSED_CARD,)),
    Launch("/run-random-saga", "one of the above", (APPROVED, REFUSED_CONSUMER, REFUSED_CARD)),
)


def smoke(checkout: Path, environ: Mapping[str, str], console: Console) -> bool:
    """Whether each saga ended as it must. Everything is left as it was found."""
    local = checkout / ".local"
    local.mkdir(exist_ok=True)
    state = Path(tempfile.mkdtemp(prefix="smoke-", dir=local))
    try:
        variables = (PORT_VARIABLE, *map(docs_variable, SERVICES))
        ports = {variable: str(free_port("127.0.0.1")) for variable in variables}
        plan = make_plan(checkout, state, {**environ, **ports})
        with running(plan, console, show_output=False) as supervisor:
            contracts_are_served(plan, console)
            return run_all(plan, supervisor, console)
    finally:
        shutil.rmtree(state)


def run_all(plan: Plan, supervisor: Supervisor, console: Console) -> bool:
    ended_well = [run_one(launch, plan, supervisor, console) for launch in LAUNCHES]
    if all(ended_well):
        console.say(f"all {len(LAUNCHES)} sagas ended as they must")
        return True
    console.complain(f"{ended_well.count(False)} of {len(LAUNCHES)} sagas did not end as they must")
    return False


def contracts_are_served(plan: Plan, console: Console) -> None:
    for service, page in zip(SERVICES, plan.docs, strict=True):
        status, contract = get(page, "/asyncapi.yaml")
        title = f"title: {service.replace('_', ' ').capitalize()}\n"
        if status != http.client.OK or title.encode() not in contract:
            raise StackError(f"{page.url}/asyncapi.yaml was answered {status} instead of with {service}'s contract")
    console.say("every service's contract is served")


def run_one(launch: Launch, plan: Plan, supervisor: Supervisor, console: Console) -> bool:
    console.plain("")
    console.say(f"{launch.path} ({launch.story})")
    saga_id = post(plan, launch.path)
    try:
        supervisor.wait_until(lambda: has_ended(plan, saga_id), END_SECONDS, f"saga {saga_id} to end")
    finally:
        console.plain(saga_as_json(plan, saga_id)["trace"])
    outcome = look_at(plan, saga_id)
    if outcome in launch.ends:
        console.say(f"as it must: {outcome}")
        return True
    console.complain(f"ended wrongly: {outcome}")
    console.complain(f"should be:     {' or '.join(map(str, launch.ends))}")
    return False


def post(plan: Plan, path: str) -> str:
    """Launches a saga as a click on its button does; the answer leads to the saga's page."""
    connection = http.client.HTTPConnection(plan.page.host, plan.page.port, timeout=REQUEST_TIMEOUT_SECONDS)
    try:
        connection.request("POST", path, body=b"")
        response = connection.getresponse()
        location = response.headers.get("Location", "")
    finally:
        connection.close()
    if response.status != http.client.SEE_OTHER or "/sagas/" not in location:
        raise StackError(f"POST {path} was answered {response.status} {response.reason} instead of with a saga")
    return location.rsplit("/", 1)[1]


def saga_as_json(plan: Plan, saga_id: str) -> dict[str, Any]:
    status, body = get(plan.page, f"/api/sagas/{saga_id}")
    if status != http.client.OK:
        raise StackError(f"GET /api/sagas/{saga_id} was answered {status}")
    saga = json.loads(body)
    assert isinstance(saga, dict)
    return saga


def get(page: Page, path: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(page.host, page.port, timeout=REQUEST_TIMEOUT_SECONDS)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def has_ended(plan: Plan, saga_id: str) -> bool:
    return saga_as_json(plan, saga_id)["status"] in ENDED


def look_at(plan: Plan, saga_id: str) -> Outcome:
    saga = saga_as_json(plan, saga_id)
    return Outcome(
        saga=saga["status"],
        failed_step=saga["failed_step"],
        order=saga["order"]["status"],
        tickets=statuses(plan, "RESTAURANT_SERVICE_DATABASE_URL", "tickets", saga_id),
        authorizations=statuses(plan, "ACCOUNTING_SERVICE_DATABASE_URL", "card_authorizations", saga_id),
    )


def statuses(plan: Plan, variable: str, table: str, saga_id: str) -> tuple[str, ...]:
    """What a participant's own database says: the reply is what it claims, the row is what it did."""
    engine = create_engine(plan.environment[variable], poolclass=NullPool)
    with engine.connect() as connection:
        rows = connection.execute(text(f"SELECT status FROM {table} WHERE saga_id = :id"), {"id": saga_id})
        return tuple(row.status for row in rows)
