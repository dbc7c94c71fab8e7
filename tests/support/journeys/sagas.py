"""One saga that uses everything, and the two that are steps of it."""

from dataclasses import dataclass, field
from typing import Any

from sagas_framework import (
    PIVOT,
    AsyncStep,
    RetryPolicy,
    Saga,
    Sleep,
    StepContext,
    SyncStep,
    WaitForSignal,
    child_saga,
    choice,
    parallel,
    send,
    when,
)
from tests.support.journeys import messages

SOON_SECONDS = 0.2
QUICKLY = RetryPolicy(max_attempts=None, initial_delay_seconds=SOON_SECONDS)


@dataclass
class Trip:
    grand: bool
    refused: str = ""
    """What the agency says no to."""
    log: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Decision:
    granted: bool


def to_book(trip: Trip, step: StepContext) -> messages.Booking:
    return messages.Booking(step.step, trip.refused == step.step)


def to_cancel(trip: Trip, step: StepContext) -> messages.Booking:
    return messages.Booking(step.step, False)


def book(thing: str, **more: Any) -> AsyncStep:
    undo = send(messages.cancel[thing], to_cancel)
    return AsyncStep(thing, messages.book[thing], to_book, **{"compensation": undo, **more})


def for_good(thing: str, **more: Any) -> AsyncStep:
    return book(thing, compensation=None, **more)


def note(trip: Trip, step: StepContext) -> None:
    trip.log.append(step.step)


def decided(trip: Trip, decision: Decision, step: StepContext) -> None:
    if not decision.granted:
        raise PermissionError("you stay at home")
    trip.log.append(step.step)


def is_grand(trip: Trip, step: StepContext) -> bool:
    trip.log.append(step.step)
    return trip.grand


def same(trip: Trip, step: StepContext) -> Trip:
    return Trip(trip.grand, trip.refused)


class RentCar(Saga[Trip]):
    response_queue = "journeys.replies"
    steps = (
        book("keys"),
        WaitForSignal("deposit", action=note),
        # After a signal or a sleep no message comes again: if its worker dies, asking again is what heals.
        book("insurance", ask_again_after_seconds=1.0),
    )


class PickUp(Saga[Trip]):
    """Its end is told by the outbox, for no message has led to it."""

    response_queue = "journeys.replies"
    steps = (for_good("taxi"), Sleep("drive", SOON_SECONDS))


class Journey(Saga[Trip]):
    response_queue = "journeys.replies"
    steps = (
        SyncStep("open", action=note),
        for_good("announcement", awaited=False),
        book("offer"),
        parallel(
            book("plane"),
            [book("hotel"), book("dinner")],
            [book("garage"), child_saga("car", RentCar, same)],
        ),
        choice(when(is_grand, book("suite")), otherwise=book("room"), name="comfort"),
        WaitForSignal("approval", payload=Decision, action=note, on_signal=decided),
        Sleep("think", lambda trip, step: SOON_SECONDS),
        for_good("postcard", awaited=False),
        for_good("payment", kind=PIVOT, ask_again_after_seconds=1.0),
        for_good("ticket", retry=QUICKLY),
        child_saga("pick_up", PickUp, same),
    )


SAGAS = [Journey, RentCar, PickUp]
