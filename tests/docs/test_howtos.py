"""What the how-tos print as code is run here as it is printed, and does what the text beside it says."""

import os
import re
import sys
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from sqlalchemy import Engine, select, update
from sqlalchemy.exc import NoResultFound

from local_stack.plan import CHECKOUT
from sagas_framework import AnswerRefused, create_orchestrator, upgrade_database
from sagas_framework.asyncapi.source import load
from sagas_framework.asyncapi.system_map import to_svg
from sagas_framework.definition.checks import refuse_bad_children
from sagas_framework.definition.compiler import compile_saga
from sagas_framework.delivery.relay import OutboxRelay
from sagas_framework.engine.protocol import Signal
from sagas_framework.engine.state import Phase
from sagas_framework.operations.diagrams import svg
from sagas_framework.participant.commands import CommandBatches
from sagas_framework.storage.schema import instances, outbox
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


class Library:
    """The library and its lending, without a broker: what is published is handed over here, in its order."""

    FILES = ("messages", "library", "library_worker", "open_loan", "lending_worker", "reliability", "jubilees")

    def __init__(self, published: list[OutgoingMessage]) -> None:
        self.messages, self.code = import_module("messages"), import_module("library")
        self.participant = import_module("library_worker").participant
        self.subscriber = import_module("lending_worker").subscriber
        self.reader = import_module("jubilees").Reader
        self._published = published
        upgrade_database(self.participant.engine, self.code.Base.metadata)
        upgrade_database(self.subscriber.engine, import_module("jubilees").Base.metadata)
        self._commands = CommandBatches(
            self.participant.engine, self.participant._publisher, self.participant._works, self.participant._announce
        )

    def lend(self, loan_id: int, member: str, due_at: datetime) -> None:
        with self.participant.sessions.begin() as session:
            self.code.lend(self.participant, session, self.messages.BookLent(loan_id, member, due_at))
        self.hand_over()

    def take_back(self, loan_id: int) -> None:
        with self.participant.sessions.begin() as session:
            self.code.take_back(self.participant, session, loan_id)
        self.hand_over()

    def leave(self, member: str) -> None:
        with self.participant.sessions.begin() as session:
            self.participant.publish(self.messages.MemberLeft(member), session=session)
        self.hand_over()

    def hand_over(self) -> None:
        for application in (self.participant, self.subscriber, self.participant, self.subscriber):
            OutboxRelay(application.engine, Publisher(application.app, application.broker))()
            while self._published:
                message = self._published.pop(0)
                if message.queue == self.messages.LENDING_QUEUE:
                    self.subscriber.subscription._batches.handle([delivery_of(message)])
                elif message.queue == self.messages.LIBRARY_QUEUE:
                    self._commands.handle([delivery_of(message)])

    def time_out(self, loan_id: int) -> None:
        """The check of a loan is due now."""
        waiting = select(outbox.c.id, outbox.c.message).where(outbox.c.times == 0)
        with self.subscriber.engine.begin() as connection:
            checks = [row.id for row in connection.execute(waiting) if f'"loan_id":{loan_id},' in row.message["body"]]
            connection.execute(update(outbox).where(outbox.c.id.in_(checks)).values(due_at=time.time()))
        self.hand_over()

    def reminders(self, loan_id: int) -> int:
        with self.participant.sessions() as session:
            return int(session.get_one(self.code.Lent, loan_id).reminders)

    def sagas(self) -> list[tuple[str, str]]:
        with self.subscriber.engine.begin() as connection:
            return sorted((row.saga, row.status) for row in connection.execute(select(instances)))

    def said(self) -> list[str]:
        """Events of the lending that nobody subscribes to."""
        with self.subscriber.engine.begin() as connection:
            unheard = select(outbox.c.message).where(outbox.c.problem.is_not(None))
            return [message["task"] for message in connection.scalars(unheard)]


@pytest.fixture
def library(importing: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Library]:
    monkeypatch.setenv("CELERY_BROKER", "memory://")
    for service in ("LIBRARY", "LENDING"):
        monkeypatch.setenv(f"{service}_DATABASE_URL", f"sqlite:///{tmp_path}/{service}.sqlite3")
    published: list[OutgoingMessage] = []
    monkeypatch.setattr(Publisher, "publish", lambda self, messages: published.extend(messages))
    monkeypatch.setattr(Publisher, "check", lambda self: None)
    monkeypatch.setattr(Publisher, "backlog", lambda self, queue: 0)
    for file, block in zip(Library.FILES, python_blocks("write-a-process-manager.md"), strict=True):
        (importing / f"{file}.py").write_text(block)
    library = Library(published)
    yield library
    library.participant.engine.dispose()
    library.subscriber.engine.dispose()


TOMORROW = datetime.now(UTC) + timedelta(1)


def test_the_loan_of_the_howto_is_asked_back_until_the_book_is_there(library: Library) -> None:
    library.lend(1, "Ann", TOMORROW)
    library.lend(2, "Ann", TOMORROW)
    assert library.reminders(1) == 0
    library.time_out(1)
    library.time_out(1)  # a week later
    assert (library.reminders(1), library.reminders(2)) == (2, 0)
    library.leave("Ann")
    assert (library.reminders(1), library.reminders(2)) == (3, 1)
    library.take_back(1)
    library.time_out(1)
    library.leave("Ann")
    assert (library.reminders(1), library.reminders(2)) == (3, 2)
    assert library.sagas() == [("OpenLoan", "ended"), ("OpenLoan", "running"), ("Reliability", "running")]


def test_the_member_of_the_howto_is_unreliable_when_it_is_too_much(library: Library) -> None:
    library.lend(1, "Ann", TOMORROW)
    library.lend(2, "Ann", TOMORROW)
    for loan_id in (1, 2):
        library.time_out(loan_id)
    assert library.said() == []
    library.time_out(1)
    assert library.said() == ["lending.member_unreliable"]
    assert ("Reliability", "ended") in library.sagas()


def test_the_function_of_the_howto_counts_once_for_each_book(library: Library) -> None:
    for loan_id in (1, 2, 3):
        library.lend(loan_id, "Ann", TOMORROW)
    with library.subscriber.sessions() as session:
        assert session.get_one(library.reader, "Ann").books == 3


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
