"""What the page shows of sagas that are further on than a test without a broker gets them."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from order_service import presentation
from order_service.create_order_saga import CreateOrderSaga
from order_service.models import Order
from order_service.prepare_database import prepare
from order_service.web import create_web_app
from sagas_framework import Operations, Orchestrator, SagaStatus, UnknownSaga, create_orchestrator
from sagas_framework.operations import HistoryEntry, SagaDetails, SagaSummary, StepView
from tests.services.doubles import SAGA_ID

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ATTACK = "<script>alert(1)</script>\"' onload=x"
REFUSAL = {"type": f"Bad{ATTACK}", "message": f"no {ATTACK}", "module": f"m{ATTACK}", "traceback": f"tb {ATTACK}"}


def moment(milliseconds: int) -> datetime:
    return START + timedelta(milliseconds=milliseconds)


def happened(
    at: datetime, event: str, step: str | None, attempt: int | None, detail: dict[str, Any] | None
) -> HistoryEntry:
    return HistoryEntry(at=at, event=event, step=step, attempt=attempt, detail=detail)


def a_step(name: str, phase: str = "done", kind: str = "compensatable") -> StepView:
    return StepView(
        name=name,
        kind=kind,
        remote=True,
        command=f"restaurant_service.{name}",
        compensation=None,
        phase=phase,
        stuck=False,
        attempt=1,
        undo_attempt=0,
        asks=0,
        retry_at=None,
        failure=None,
    )


def a_saga(status: str, steps: list[StepView], history: list[HistoryEntry]) -> SagaDetails:
    return SagaDetails(
        id=SAGA_ID,
        saga="CreateOrderSaga",
        status=status,
        paused=False,
        current_step=None,
        failed_step=None,
        failed_at=None,
        failure=None,
        last_message_id=None,
        created_at=START,
        updated_at=START,
        ended_at=moment(84) if status in ("succeeded", "failed") else None,
        wake_at=None,
        data={},
        steps=steps,
        history=history,
    )


class KnownSaga(Operations):
    """Operations that know one saga, whatever the database says."""

    def __init__(self, orchestrator: Orchestrator, saga: SagaDetails) -> None:
        super().__init__(orchestrator)
        self.saga = saga

    def list(self, *args: object, **kwargs: object) -> list[SagaSummary]:
        return [self.saga]

    def show(self, saga_id: str) -> SagaDetails:
        if saga_id != self.saga.id:
            raise UnknownSaga(saga_id)
        return self.saga


@pytest.fixture
def show(tmp_path: Path) -> Iterator[Callable[[SagaDetails], FlaskClient]]:
    """A function from a saga to a client of the page that shows it, with an order full of other people's text."""
    orchestrator = create_orchestrator(
        "order_service",
        broker="memory://",
        database_url=f"sqlite:///{tmp_path / 'order_service.sqlite3'}",
        sagas=[CreateOrderSaga],
    )
    prepare(orchestrator.engine)
    with orchestrator.sessions.begin() as session:
        items = [{"name": f"Ramen {ATTACK}", "quantity": 2}]
        session.add(Order(saga_id=SAGA_ID, consumer_id=73, card_id=4711, amount=20, items=items))

    def client(saga: SagaDetails) -> FlaskClient:
        return create_web_app(orchestrator, KnownSaga(orchestrator, saga)).test_client()

    yield client
    orchestrator.engine.dispose()


def test_what_others_wrote_is_shown_as_text(show: Callable[[SagaDetails], FlaskClient]) -> None:
    failing = replace(a_step("create_restaurant_ticket", "failed"), failure=REFUSAL, command=f"restaurant.{ATTACK}")
    saga = a_saga(
        "failed",
        [failing],
        [
            happened(moment(1), "command_sent", "create_restaurant_ticket", 1, {"payload": {"name": ATTACK}}),
            happened(moment(9), "reply_failed", "create_restaurant_ticket", 1, {"failure": REFUSAL}),
            happened(moment(9), f"event {ATTACK}", None, None, {"reason": ATTACK}),
        ],
    )
    other_failure = {**REFUSAL, "message": f"another {ATTACK}"}
    page = show(replace(saga, failure=other_failure, failed_step="create_restaurant_ticket"))
    for path in ("/", f"/sagas/{SAGA_ID}", f"/fragments/sagas/{SAGA_ID}"):
        html = page.get(path).text
        assert "Ramen &lt;script&gt;" in html
        assert "<script>alert" not in html and "' onload" not in html
    drawing = html_of_the_drawing(page.get(f"/sagas/{SAGA_ID}").text)
    assert "no &lt;script&gt;" in drawing


def html_of_the_drawing(html: str) -> str:
    return html.partition('<svg class="sagas-diagram"')[2].partition("</svg>\n")[0]


STATUSES_OF_STEPS = [one for one in SagaStatus if one is not SagaStatus.ENDED]
"""Process managers' sagas alone end without having succeeded or failed, and the order service has none."""


@pytest.mark.parametrize("status", STATUSES_OF_STEPS)
def test_every_status_has_a_word_a_shape_and_a_tone(
    show: Callable[[SagaDetails], FlaskClient], status: SagaStatus
) -> None:
    badge = presentation.SAGA_STATUSES[status]
    page = show(a_saga(status.value, [], []))
    for path in ("/", f"/sagas/{SAGA_ID}"):
        assert f'<span class="badge {badge.tone}">' in page.get(path).text
        assert f"<span>{badge.text}</span>" in page.get(path).text


@pytest.mark.parametrize("phase", list(presentation.STEP_PHASES))
def test_every_phase_of_a_step_has_a_word(show: Callable[[SagaDetails], FlaskClient], phase: str) -> None:
    step = replace(a_step("create_ticket", phase), compensation="restaurant_service.reject_ticket")
    page = show(a_saga("running", [step], []))
    assert f"<span>{presentation.STEP_PHASES[phase].text}</span>" in page.get(f"/sagas/{SAGA_ID}").text


def test_a_step_that_needs_an_operator_says_so(show: Callable[[SagaDetails], FlaskClient]) -> None:
    stuck = replace(a_step("create_ticket", "undoing"), stuck=True, failure=REFUSAL)
    saga = replace(a_saga("needs_attention", [stuck], []), situation="undoing create ticket failed: no such ticket")
    html = show(saga).get(f"/sagas/{SAGA_ID}").text
    assert "<span>Stuck</span>" in html
    assert "Undoing create ticket failed: no such ticket. " in html and f"sagas retry {SAGA_ID}" in html


def test_rejecting_the_order_does_not_read_as_done_while_the_order_is_fine() -> None:
    steps = [replace(a_step("reject_order"), work="nothing"), a_step("verify_consumer_details")]
    shown = presentation.saga_page(a_saga("succeeded", steps, []), None)
    assert [step.badge.text for step in shown.steps] == ["Only if the order fails", "Done"]
    assert [step.kind_text for step in shown.steps] == ["acts only when undoing", "can be undone"]


@pytest.mark.parametrize(
    ("work", "more", "place"),
    [
        ("choice", {"chosen": "cheap"}, "chose cheap"),
        ("choice", {}, "a choice"),
        ("signal", {"until": moment(0)}, "waits for a signal until 03:04:05 UTC"),
        ("sleep", {}, "lets time pass"),
        ("command", {"command": "kitchen.create"}, "kitchen"),
        (
            "command",
            {"command": "sagas.run_child.ShipSaga", "child": "ShipSaga", "child_id": "0192"},
            "saga ShipSaga 0192",
        ),
        ("local", {}, "order_service itself"),
    ],
)
def test_each_kind_of_step_says_what_it_does(work: str, more: dict[str, Any], place: str) -> None:
    step = replace(a_step("create_ticket"), command=None, work=work)
    shown = presentation.saga_page(a_saga("running", [replace(step, **more)], []), None)
    assert shown.steps[0].place == place


@pytest.mark.parametrize(
    ("event", "detail", "text", "note"),
    [
        ("choice_made", {"chosen": "cheap"}, "Chosen", "cheap"),
        ("waiting_for_signal", {}, "Waits for a signal", ""),
        ("signal_received", {"payload": {"by": "Ann"}, "early": True}, "Signal received", "it came early and is kept"),
        ("sleeping", {"until": START.timestamp() + 90}, "Sleeps", "for 1 min 30 s"),
        ("command_sent", {"awaited": False}, "Command sent", "nobody waits for an answer"),
    ],
)
def test_each_event_has_words(event: str, detail: dict[str, Any], text: str, note: str) -> None:
    history = [happened(moment(0), event, "create_ticket", 1, detail)]
    (shown,) = presentation.saga_page(a_saga("running", [a_step("create_ticket")], history), None).history
    assert (shown.badge.text, shown.note) == (text, note)


def test_a_saga_whose_class_is_gone_has_a_page_without_a_picture(
    show: Callable[[SagaDetails], FlaskClient],
) -> None:
    saga = replace(a_saga("running", [a_step("create_ticket")], []), saga="OldSaga")
    page = show(saga).get(f"/sagas/{SAGA_ID}")
    assert page.status_code == 200 and "sagas-diagram" not in page.text


def test_a_step_that_changed_nothing_is_not_called_undone() -> None:
    shown = presentation.saga_page(a_saga("failed", [a_step("verify_consumer_details", "undone")], []), None)
    assert shown.steps[0].badge.text == "Done, nothing to undo"


def test_what_ends_the_saga_is_told_of_the_saga_not_of_the_step_where_it_began() -> None:
    history = [
        happened(moment(9), "step_failed", "authorize_card", 1, None),
        happened(moment(9), "compensating", "authorize_card", None, None),
        happened(moment(20), "failed", "authorize_card", None, None),
    ]
    shown = presentation.saga_page(a_saga("failed", [a_step("authorize_card", "failed")], history), None)
    assert [event.badge.text for event in shown.steps[0].events] == ["Step failed"]
    assert [event.badge.text for event in shown.history] == ["Step failed", "Undoing begins", "Saga rolled back"]


@pytest.mark.parametrize(("tries", "earlier", "latest"), [(9, 0, 9), (10, 4, 6), (40, 34, 6)])
def test_a_step_that_was_tried_many_times_shows_the_latest_tries(tries: int, earlier: int, latest: int) -> None:
    history = [happened(moment(9), "command_sent", "create_ticket", n, None) for n in range(tries)]
    step = presentation.saga_page(a_saga("running", [a_step("create_ticket")], history), None).steps[0]
    assert (len(step.earlier_events), len(step.latest_events)) == (earlier, latest)
    assert [*step.earlier_events, *step.latest_events] == step.events


@pytest.mark.parametrize(("kind", "badge"), [("transient", "NOT_NOW"), ("refused", None), ("error", None)])
def test_only_what_may_succeed_later_reads_as_not_now(kind: str, badge: str | None) -> None:
    failure = {"failure": {"type": "Busy", "message": "later", "module": "", "traceback": "", "kind": kind}}
    history = [happened(moment(9), "reply_failed", "create_ticket", 1, failure)]
    shown = presentation.saga_page(a_saga("running", [a_step("create_ticket")], history), None)
    assert (shown.steps[0].events[0].badge == presentation.NOT_NOW) is (badge is not None)


def test_one_refusal_is_told_once_for_each_step() -> None:
    failure = {"failure": {"type": "Busy", "message": "later", "module": "", "traceback": ""}}
    events = ("reply_failed", "step_failed", "needs_attention")
    history = [happened(moment(9), event, "create_ticket", 1, failure) for event in events]
    shown = presentation.saga_page(a_saga("failed", [a_step("create_ticket")], history), None)
    assert [bool(event.failure) for event in shown.steps[0].events] == [True, False, False]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 ms"),
        (0.0844, "84 ms"),
        (-1, "0 ms"),
        (0.9996, "1.0 s"),
        (12.34, "12.3 s"),
        (125, "2 min 5 s"),
        (11_100, "3 h 5 min"),
    ],
)
def test_lengths_of_time_are_rounded_to_what_is_read_at_a_glance(seconds: float, text: str) -> None:
    assert presentation.duration(timedelta(seconds=seconds)) == text
