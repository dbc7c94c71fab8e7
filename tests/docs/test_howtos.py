"""What the how-tos print as code is run here as it is printed, and does what the text beside it says."""

import os
import re
import sys
from collections.abc import Iterator
from datetime import date, timedelta
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import NoResultFound

from local_stack.plan import CHECKOUT
from sagas_framework import AnswerRefused, create_orchestrator, upgrade_database
from sagas_framework.asyncapi.source import load
from sagas_framework.asyncapi.system_map import to_svg
from sagas_framework.definition.checks import refuse_bad_children
from sagas_framework.definition.compiler import compile_saga
from sagas_framework.engine.protocol import Signal
from sagas_framework.engine.state import Phase
from sagas_framework.operations.diagrams import svg
from sagas_framework.participant.commands import CommandBatches
from sagas_framework.transport.publisher import Publisher
from sagas_framework.transport.wire import OutgoingMessage, command_message
from sagas_framework.vocabulary.correlation import Correlation
from sagas_framework.vocabulary.identity import Direction, message_id
from tests.support.orchestration import Bench, answer, delivery_of

SAGA_ID = "01920000-0000-7000-8000-000000000001"
HOWTOS = CHECKOUT / "docs" / "howto"


def python_blocks(name: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (HOWTOS / name).read_text(), re.DOTALL)


@pytest.fixture
def importing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder whose modules can be imported, and are forgotten afterwards."""
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    known = set(sys.modules)
    yield tmp_path
    for module in set(sys.modules) - known:
        if getattr(sys.modules[module], "__file__", None) and str(tmp_path) in str(sys.modules[module].__file__):
            del sys.modules[module]


@pytest.fixture
def trips(importing: Path) -> ModuleType:
    (importing / "howto_trips.py").write_text("\n\n".join(python_blocks("write-a-saga.md")))
    return import_module("howto_trips")


def names(messages: list[OutgoingMessage]) -> list[str]:
    return [str((message.correlation or {})["step"]) for message in messages]


@pytest.fixture
def bench(engine: Engine, trips: ModuleType) -> Bench:
    bench = Bench(engine, trips.BookTrip, trips.ApplyForVisa)
    refuse_bad_children(bench.definitions["BookTrip"], bench.definitions)
    return bench


def trip(trips: ModuleType, **more: Any) -> Any:
    values = {"traveller": "Ann", "departure": date.today() + timedelta(2), "days": 3, "card": trips.Card("5994")}
    return trips.Trip(**values | more)


def done(bench: Bench, *commands: OutgoingMessage) -> list[OutgoingMessage]:
    bench.handle(*(answer(command, {"reference": command.id}) for command in commands))
    return bench.publisher.take()


def until_the_visa(bench: Bench, trips: ModuleType) -> tuple[str, OutgoingMessage]:
    saga_id = bench.started(trips.BookTrip, trip(trips))
    plane, hotel, museum = bench.publisher.take()
    assert names([plane, hotel, museum]) == ["plane", "hotel", "museum"]
    (transfer,) = done(bench, plane, museum, hotel)
    (insured,) = done(bench, transfer)
    assert names([insured]) == ["travel_insurance_for_a_fortnight"]
    (visa,) = done(bench, insured)
    bench.handle(delivery_of(visa))
    (apply,) = bench.publisher.take()
    (has_visa,) = done(bench, apply)
    bench.handle(delivery_of(has_visa))
    assert bench.publisher.take() == []
    return saga_id, apply


def test_the_trip_of_the_howto_is_booked(bench: Bench, trips: ModuleType) -> None:
    saga_id, apply = until_the_visa(bench, trips)
    bench.act(saga_id, Signal(1.0, "consent", {"given": True, "by": "Bob"}))
    (charge,) = bench.due_now(saga_id)
    (tickets,) = done(bench, charge)
    assert done(bench, tickets) == []
    row = bench.row(saga_id)
    assert row["current_step"] == "until_departure" and row["data"]["bookings"]["visa"] == apply.id
    assert row["data"]["card"]["authorization"] == f"authorized for {saga_id}"
    while bench.status(saga_id) == "running":
        assert bench.due_now(saga_id) == []
    assert bench.status(saga_id) == "succeeded"


def test_the_picture_of_the_trip_is_the_trip(trips: ModuleType) -> None:
    refuse_another_picture("trip.svg", svg(compile_saga(trips.BookTrip)) + "\n")


def test_the_picture_of_the_system_is_the_system() -> None:
    kept = sorted((CHECKOUT / "docs" / "asyncapi").glob("*.yaml"))
    refuse_another_picture("system.svg", to_svg([load(str(path)) for path in kept]))


def refuse_another_picture(name: str, drawn: str) -> None:
    picture = CHECKOUT / "docs" / "pictures" / name
    if os.environ.get("RENEW_PICTURES"):
        picture.write_text(drawn)
    assert picture.read_text() == drawn, "RENEW_PICTURES=1 pytest tests/docs draws it anew; look at it"


def test_a_trip_without_consent_is_undone_with_its_visa(bench: Bench, trips: ModuleType) -> None:
    saga_id, _ = until_the_visa(bench, trips)
    bench.act(saga_id, Signal(1.0, "consent", {"given": False, "by": "Bob"}))
    undoing = bench.due_now(saga_id)
    undone = []
    while undoing:
        undone += names(undoing)
        for message in undoing:
            ours = message.task.startswith("sagas.")  # the child's undoing, and then its answer
            bench.handle(delivery_of(message) if ours else answer(message))
        undoing = bench.publisher.take()
    assert (
        bench.status(saga_id) == "failed" and bench.row(saga_id)["failure_details"]["message"] == "Bob does not agree"
    )
    assert undone.index("travel_insurance_for_a_fortnight") < undone.index("hotel_transfer") < undone.index("hotel")
    assert {"plane", "museum", "visa", "apply"} <= set(undone)
    assert bench.state(saga_id).steps["travel_insurance"].phase is Phase.SKIPPED


def test_a_booking_without_a_reference_is_refused_by_the_callback(bench: Bench, trips: ModuleType) -> None:
    saga_id = bench.started(trips.BookTrip, trip(trips))
    plane, hotel, museum = bench.publisher.take()
    bench.handle(answer(plane, {"reference": ""}), *(answer(each, {"reference": "r"}) for each in (hotel, museum)))
    (transfer,) = bench.publisher.take()
    assert {"plane", "museum", "hotel_transfer"} == set(names(done(bench, transfer)))
    assert bench.row(saga_id)["failed_step"] == "plane"


def test_the_start_of_the_howto_starts_once(engine: Engine, trips: ModuleType, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/trips.sqlite3"
    orchestrator = create_orchestrator(
        "agency", broker="memory://", database_url=url, sagas=[trips.BookTrip, trips.ApplyForVisa]
    )
    upgrade_database(orchestrator.engine)
    first, second = (trips.start(orchestrator, trip(trips), "request 7") for _ in range(2))
    assert first.created and not second.created and first.saga_id == second.saga_id
    orchestrator.engine.dispose()


@pytest.fixture
def office(importing: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ModuleType]:
    """The five files of answer-later.md, on a database of their own."""
    monkeypatch.setenv("CELERY_BROKER", "memory://")
    monkeypatch.setenv("RESTAURANT_DATABASE_URL", f"sqlite:///{tmp_path}/restaurant.sqlite3")
    for file, block in zip(
        ["messages", "handlers", "worker", "prepare_database", "office"], python_blocks("answer-later.md"), strict=True
    ):
        (importing / f"{file}.py").write_text(block)
    import_module("prepare_database")
    office = import_module("office")
    yield office
    office.participant.engine.dispose()


def handed_to(office: ModuleType, direction: Direction = Direction.ACTION) -> str:
    """Does a command as the participant's worker does; the id of its message."""
    messages = import_module("messages")
    command = messages.approve_ticket if direction is Direction.ACTION else messages.withdraw_ticket
    place = ("orders", SAGA_ID, "approve_ticket", direction, 1)
    sent = command_message(command, message_id(*place), {"order_id": 7}, Correlation(*place, reply_queue="replies"))
    participant = office.participant
    CommandBatches(participant.engine, participant._publisher, participant._works).handle([delivery_of(sent)])
    return sent.id


def test_the_manager_of_the_howto_answers_when_the_decision_is_there(
    office: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    published: list[OutgoingMessage] = []
    monkeypatch.setattr(Publisher, "publish", lambda self, messages: published.extend(messages))
    asked = handed_to(office)
    assert published == []
    office.approve(7, "Ann")
    (reply,) = published
    assert reply.parent_id == asked and reply.task == "restaurant.approve_ticket.response.success"
    assert '{"approved_by":"Ann"}' in reply.body
    with pytest.raises(NoResultFound):  # the ticket is closed
        office.turn_down(7, "too late")


def test_the_manager_of_the_howto_may_say_no_but_not_after_the_saga_has_turned_back(
    office: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    published: list[OutgoingMessage] = []
    monkeypatch.setattr(Publisher, "publish", lambda self, messages: published.extend(messages))
    handed_to(office)
    with office.participant.sessions.begin() as session:
        token = session.get_one(office.OpenTicket, 7).answer_token
    office.turn_down(7, "no fish today")
    assert published[0].task == "restaurant.approve_ticket.response.failure" and "no fish today" in published[0].body
    handed_to(office, Direction.COMPENSATION)
    with pytest.raises(AnswerRefused), office.participant.sessions.begin() as session:
        office.participant.answer(token, office.Approval("Ann"), session=session)


def test_the_module_of_publish_contracts_is_the_restaurants_own() -> None:
    (block,) = python_blocks("publish-contracts.md")
    assert block == (CHECKOUT / "restaurant_service" / "asyncapi_specification.py").read_text()


CHOREOGRAPHY = "choreograph-without-an-orchestrator.md"


def test_the_code_of_the_choreography_is_the_examples_and_the_shops() -> None:
    sources = [path.read_text() for path in (CHECKOUT / "examples" / "order_choreography").rglob("*.py")]
    sources.append((CHECKOUT / "tests" / "support" / "shop" / "office.py").read_text())
    blocks = python_blocks(CHOREOGRAPHY)
    assert blocks
    for piece in (piece for block in blocks for piece in block.strip().split("\n\n\n")):
        assert any(piece in source for source in sources), piece


def test_the_choreography_is_as_long_as_its_howto_says() -> None:
    folder = CHECKOUT / "examples" / "order_choreography"

    def lines(*paths: Path) -> int:
        return sum(1 for path in paths for line in path.read_text().splitlines() if line)

    choreographed, saga = lines(folder / "events.py", *folder.glob("*/handlers.py")), lines(folder / "as_a_saga.py")
    assert f"| {choreographed}, in five files | {saga} |" in (HOWTOS / CHOREOGRAPHY).read_text()


def test_every_file_that_the_choreography_links_to_is_there() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", (HOWTOS / CHOREOGRAPHY).read_text()):
        assert (HOWTOS / target).exists(), target
