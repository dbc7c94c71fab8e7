"""The readable trace: what an operator, and a reader of the examples, sees of a saga."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sagas_framework import AsyncStep, Command, Failure, FailureKind, Saga, StepContext, SyncStep, send
from sagas_framework.definition.compiler import compile_saga
from sagas_framework.operations import HistoryEntry, SagaDetails, StepView, readable_trace

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@dataclass
class Trip:
    traveller: str


def nothing(trip: Trip, step: StepContext) -> Trip:
    return trip


def cancel_insurance(trip: Trip, step: StepContext) -> None:
    return None


def command(name: str) -> Command[Trip, None]:
    return Command(f"trips.{name}", queue="trips.commands", payload=Trip)


class TripSaga(Saga[Trip]):
    response_queue = "trip_replies"
    steps = (
        SyncStep("insure_trip", action=nothing, compensation=cancel_insurance),
        AsyncStep(
            "book_plane_ticket",
            command("book_plane_ticket"),
            nothing,
            compensation=send(command("cancel_plane_ticket_booking"), nothing),
        ),
        AsyncStep(
            "book_hotel_room",
            command("book_hotel_room"),
            nothing,
            compensation=send(command("cancel_hotel_room"), nothing, awaited=False),
        ),
        AsyncStep("buy_tourist_tickets", command("buy_tourist_tickets"), nothing),
    )


def event(name: str, step: str | None = None, attempt: int | None = None, **detail: Any) -> HistoryEntry:
    return HistoryEntry(START, name, step, attempt, detail or None)


def failing(message: str, type: str = "Refused", kind: FailureKind = FailureKind.REFUSED) -> dict[str, str]:
    return Failure(type, message, "m", kind=kind).to_json()


def step(name: str, phase: str = "acting", **changes: Any) -> StepView:
    values: dict[str, Any] = {
        "name": name, "kind": "compensatable", "remote": True, "command": None, "compensation": None, "phase": phase,
        "stuck": False, "attempt": 1, "undo_attempt": 0, "asks": 0, "retry_at": None, "failure": None,
    }  # fmt: skip
    return StepView(**values | changes)


def trace(status: str, *history: HistoryEntry, steps: Sequence[StepView] = (), paused: bool = False) -> list[str]:
    saga = SagaDetails(
        id="id", saga="TripSaga", status=status, paused=paused, current_step=None, failed_step=None, failed_at=None,
        failure=None, last_message_id=None, created_at=START, updated_at=START, ended_at=None, wake_at=None, data={},
        steps=list(steps), history=list(history),
    )  # fmt: skip
    return readable_trace(saga, compile_saga(TripSaga)).splitlines()


BEGUN = event("started")
PLANE = (event("command_sent", "book_plane_ticket", 1), event("reply_received", "book_plane_ticket", 1))
TICKETS = (event("command_sent", "buy_tourist_tickets", 1), event("reply_received", "buy_tourist_tickets", 1))
NO_ROOM = failing("no available hotel rooms")
HOTEL_REFUSES = (
    event("command_sent", "book_hotel_room", 1),
    event("reply_failed", "book_hotel_room", 1, failure=NO_ROOM),
    event("step_failed", "book_hotel_room", 1, failure=NO_ROOM),
    event("compensating", "book_hotel_room", failure=NO_ROOM),
)
PLANE_UNDONE = (event("compensation_sent", "book_plane_ticket", 1), event("compensation_done", "book_plane_ticket", 1))


def test_a_success_reads_as_the_seed_prints_it() -> None:
    hotel = (event("command_sent", "book_hotel_room", 1), event("reply_received", "book_hotel_room", 1))
    assert trace("succeeded", BEGUN, *PLANE, *hotel, *TICKETS, event("succeeded")) == [
        "❗️ begin saga",
        "",
        "✔️ book plane ticket",
        "✔️ book hotel room",
        "✔️ buy tourist tickets",
        "",
        "❗️ all steps succeeded",
        "",
        "✔️ end saga (success)",
    ]


def test_a_failure_reads_as_the_seed_prints_it() -> None:
    ended = event("failed", "book_hotel_room")
    assert trace("failed", BEGUN, *PLANE, *HOTEL_REFUSES, *PLANE_UNDONE, ended) == [
        "❗️ begin saga",
        "",
        "✔️ book plane ticket",
        "❌ book hotel room (no available hotel rooms)",
        "",
        "❗️ step failed: reverting",
        "",
        "✔️ cancel plane ticket booking",
        "",
        "❌ end saga (no available hotel rooms)",
    ]


def test_a_process_manager_s_trace_tells_the_events_and_what_each_has_led_to() -> None:
    registered = event("event_handled", "begin", event="users.user_registered", aggregate="user_id=17", number=1)
    verified = event("event_handled", "note", event="users.user_verified", aggregate="user_id=17", number=2)
    mail = event("command_sent", "begin", command="mails.send_mail", message_id="m")
    later = event("command_sent", "begin", command="users.expire_verification", message_id="n", due_at=86400.0)
    completed = event("event_published", "note", event="users.registration_completed", aggregate="user_id=17")
    assert trace("ended", BEGUN, registered, mail, later, verified, completed, event("ended", "note")) == [
        "❗️ begin saga",
        "",
        "❗️ user registered (user_id=17)",
        "✔️ send mail (sent)",
        "✔️ expire verification (to be sent at 1970-01-02 00:00:00 UTC)",
        "",
        "❗️ user verified (user_id=17)",
        "✔️ registration completed (published)",
        "",
        "✔️ end saga",
    ]


def test_a_process_manager_s_trace_tells_of_commands_that_have_failed_and_what_became_of_them() -> None:
    refused = {"type": "Refusal", "message": "no such mailbox", "kind": "refused"}
    asked = event("event_handled", "begin", event="users.user_registered", aggregate="user_id=17", number=1)
    sent = event("command_sent", "begin", command="mails.send_mail", message_id="m")
    failed = event("command_failed", "begin.1#m", command="mails.send_mail", message_id="m", failure=refused)
    resent = event("command_resent", "begin.1#m", command="mails.send_mail", message_id="m", reason="it is there now")
    dropped = event("command_discarded", "begin.1#n", command="mails.send_mail", message_id="n", reason="")
    assert trace("running", BEGUN, asked, sent, failed, resent, failed, dropped)[2:] == [
        "❗️ user registered (user_id=17)",
        "✔️ send mail (sent)",
        "",
        "❌ send mail (no such mailbox): waits for the operator",
        "",
        "🔁 send mail resent by an operator (it is there now)",
        "",
        "❌ send mail (no such mailbox): waits for the operator",
        "",
        "❗️ send mail discarded by an operator",
    ]


def test_siblings_that_finish_after_the_failure_come_before_the_turning() -> None:
    lines = trace("failed", BEGUN, *PLANE, *HOTEL_REFUSES, *TICKETS, *PLANE_UNDONE, event("failed"))
    assert lines[2:7] == [
        "✔️ book plane ticket",
        "❌ book hotel room (no available hotel rooms)",
        "✔️ buy tourist tickets",
        "",
        "❗️ step failed: reverting",
    ]


def test_a_failure_with_nothing_to_undo_says_so_in_the_same_form() -> None:
    assert trace("failed", BEGUN, *HOTEL_REFUSES, event("failed"))[-4:] == [
        "",
        "❗️ step failed: reverting",
        "",
        "❌ end saga (no available hotel rooms)",
    ]


def test_a_local_compensation_is_called_by_its_function() -> None:
    undone = event("compensation_done", "insure_trip", 1)
    assert "✔️ cancel insurance" in trace("failed", BEGUN, *HOTEL_REFUSES, undone, event("failed"))


def test_a_compensation_that_nobody_awaits_says_so() -> None:
    sent = event("compensation_sent", "book_hotel_room", 1, awaited=False)
    done = event("compensation_done", "book_hotel_room", 1)
    assert "✔️ cancel hotel room (sent, no answer expected)" in trace("failed", BEGUN, *HOTEL_REFUSES, sent, done)


def test_a_step_is_done_when_its_callback_has_run_and_not_before() -> None:
    done = event("step_done", "book_plane_ticket", 1)
    assert trace("running", BEGUN, *PLANE, done).count("✔️ book plane ticket") == 1
    failed = event("step_failed", "book_plane_ticket", 1, failure=failing("no seat in the reply"))
    assert trace("compensating", BEGUN, *PLANE, failed)[2] == "❌ book plane ticket (no seat in the reply)"


def test_a_retry_and_the_attempt_that_succeeded_are_told() -> None:
    again = event("retry_scheduled", "book_plane_ticket", 1, failure=failing("", "Timeout", FailureKind.TRANSIENT))
    success = event("reply_received", "book_plane_ticket", 2)
    lines = trace("running", BEGUN, again, success)
    assert lines[2:] == ["🔁 book plane ticket (Timeout)", "✔️ book plane ticket (attempt 2)"]


def test_asking_again_many_times_is_one_line() -> None:
    asked = [event("asked_again", "book_plane_ticket", 1, asks=asks) for asks in (1, 2, 3)]
    lines = trace("running", BEGUN, *PLANE[:1], *asked, steps=[step("book_plane_ticket", asks=3)])
    assert lines[2:] == ["⏳ book plane ticket (no reply yet, asked again 3 times)"]


def test_what_an_operators_process_left_to_a_worker_is_not_asking_again() -> None:
    history = (
        BEGUN,
        *PLANE,
        event("operator_retry", reason="the desk is open"),
        event("command_sent", "book_hotel_room", 2),
        event("asked_again", "book_hotel_room", 2, asks=1),
    )
    assert not any("asked again" in line for line in trace("running", *history))


def test_an_unfinished_saga_says_what_it_waits_for() -> None:
    retry_at = START + timedelta(hours=1)
    lines = trace(
        "running", BEGUN, *PLANE, steps=[step("book_hotel_room"), step("buy_tourist_tickets", retry_at=retry_at)]
    )
    assert lines[2:] == [
        "✔️ book plane ticket",
        "⏳ book hotel room (waiting for the reply)",
        "⏳ buy tourist tickets (next try at 04:04:05 UTC)",
    ]


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        (FailureKind.REFUSED, "division by zero"),
        (FailureKind.TRANSIENT, "division by zero"),
        (FailureKind.ERROR, "ZeroDivisionError: division by zero"),
    ],
)
def test_a_refusal_speaks_for_itself_and_an_error_says_what_it_is(kind: FailureKind, told: str) -> None:
    failure = failing("division by zero", "ZeroDivisionError", kind)
    history = [event(name, "book_plane_ticket", 1, failure=failure) for name in ("step_failed", "compensating")]
    lines = [line for line in trace("failed", BEGUN, *history, event("failed")) if line]
    assert lines[1] == f"❌ book plane ticket ({told})" and lines[-1] == f"❌ end saga ({told})"


def test_an_error_without_a_message_is_its_type() -> None:
    failed = event("step_failed", "book_plane_ticket", 1, failure=failing("", "KeyError", FailureKind.ERROR))
    assert trace("compensating", BEGUN, failed)[2] == "❌ book plane ticket (KeyError)"


def test_silence_that_was_given_up_is_a_failure() -> None:
    failure = failing("no reply after 4 asks; it may have been done", "NoReply", FailureKind.ERROR)
    lines = trace("compensating", BEGUN, event("gave_up", "book_plane_ticket", 1, failure=failure))
    assert lines[2] == "❌ book plane ticket (NoReply: no reply after 4 asks; it may have been done)"


@pytest.mark.parametrize(
    ("stuck", "expected"),
    [
        (
            [event("needs_attention", "book_plane_ticket", 1, failure=failing("no seat"))],
            ["❌ book plane ticket (no seat)", "", "❗️ book plane ticket needs an operator"],
        ),
        (
            [
                event("compensation_failed", "book_plane_ticket", 1, failure=failing("desk closed")),
                event("needs_attention", "book_plane_ticket", 1, failure=failing("desk closed")),
            ],
            [
                "❌ cancel plane ticket booking (desk closed)",
                "",
                "❗️ cancel plane ticket booking needs an operator",
            ],
        ),
        (
            [event("needs_attention", None, hook="on_saga_success", failure=failing("boom"))],
            ["❌ on_saga_success (boom)", "", "❗️ on_saga_success needs an operator"],
        ),
    ],
)
def test_what_stopped_says_that_it_needs_an_operator(stuck: list[HistoryEntry], expected: list[str]) -> None:
    assert trace("needs_attention", BEGUN, *stuck)[2:] == expected


def test_acts_of_operators_are_told_with_their_reasons() -> None:
    history = (
        event("operator_retry", reason="the desk is open"),
        event("paused", reason=""),
        event("resumed", reason="go"),
        event("cancelled", "book_plane_ticket", reason="no holidays"),
        event("compensating", "book_plane_ticket", failure=failing("no holidays", "SagaCancelled")),
        event("failed"),
    )
    assert [line for line in trace("failed", BEGUN, *history) if line] == [
        "❗️ begin saga",
        "❗️ retried by an operator (the desk is open)",
        "❗️ paused by an operator",
        "❗️ resumed by an operator (go)",
        "❗️ cancelled by an operator (no holidays): reverting",
        "❌ end saga (no holidays)",
    ]


def test_a_deadline_reads_differently_before_and_after_the_point_of_no_return() -> None:
    passed = event("deadline_passed", "book_plane_ticket")
    before = trace("compensating", BEGUN, passed, event("compensating", failure=failing("too late")))
    assert before[-1] == "❗️ deadline passed: reverting"
    after = trace("needs_attention", BEGUN, passed)
    assert after[-1] == "❗️ deadline passed after the point of no return: it needs an operator"


def test_nothing_that_a_terminal_would_obey_gets_through() -> None:
    nasty = failing("\x1b[2Jgone\r\x07\nsecond line")
    lines = trace("running", BEGUN, event("step_failed", "book_hotel_room", 1, failure=nasty))
    assert lines[2] == "❌ book hotel room ([2Jgone)"


def test_an_event_of_a_newer_release_is_passed_over() -> None:
    assert trace("running", BEGUN, event("teleported", "book_plane_ticket")) == ["❗️ begin saga"]
