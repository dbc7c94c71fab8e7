"""What an inbox hands its batches to: gather, one transaction, publish, acknowledge, and what becomes of trouble."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from sqlalchemy import Engine

from sagas_framework.delivery.suspects import Suspects, Verdict
from sagas_framework.errors import PublishFailed, in_one_line
from sagas_framework.storage.weather import is_bad_weather
from sagas_framework.transport.delivery import Delivery
from sagas_framework.transport.inbox import Unfinished
from sagas_framework.transport.publisher import Publisher
from sagas_framework.transport.wire import OutgoingMessage

logger = logging.getLogger(__name__)


class Applied(Protocol):
    """What a committed transaction has left to be done."""

    @property
    def outgoing(self) -> Sequence[OutgoingMessage]: ...
    @property
    def sources(self) -> Sequence[tuple[str, Delivery]]:
        """Ids of messages to be sent, and the deliveries that caused them."""
        ...

    @property
    def locked(self) -> Sequence[Delivery]:
        """Deliveries that wait, because somebody else holds what they are about."""
        ...


@dataclass(frozen=True)
class Outcome:
    """`Applied` by who leaves only some of that, or nothing."""

    outgoing: Sequence[OutgoingMessage] = ()
    sources: Sequence[tuple[str, Delivery]] = ()
    locked: Sequence[Delivery] = ()


class Batches(ABC):
    """`apply` is the transaction; everything round it is the same for replies and for commands."""

    alone_after_weather: ClassVar[bool] = False
    """Whether deliveries that met bad weather are taken one by one: another batch may hold rows the other way round."""

    def __init__(self, engine: Engine, publisher: Publisher) -> None:
        self._engine = engine
        self._publisher = publisher
        self._suspects = Suspects(engine)

    @abstractmethod
    def apply(self, deliveries: Sequence[Delivery], poison: Sequence[Delivery]) -> Applied:
        """Does the deliveries in one transaction; those that are poison are only put where the operator finds them."""

    def handle(self, deliveries: Sequence[Delivery]) -> None:
        """Returns when all of it is done; raises Unfinished with what is not."""
        remaining = list(deliveries)
        part: set[Delivery] = set()
        unsent: list[Delivery] = []
        hold: list[Delivery] = []
        reasons: list[str] = []
        try:
            for together, poison in self._parts(deliveries):
                part = {*together, *poison}
                applied = self.apply(together, poison)
                self._suspects.clear([*together, *poison])
                unsent += self._publish(applied, reasons)
                hold += applied.locked
                reasons += ["somebody else holds what they are about"] if applied.locked else []
                remaining = [delivery for delivery in remaining if delivery not in part]
        except Exception as error:
            if not is_bad_weather(error):
                raise
            self._suspects.clear(remaining)  # the weather is to blame, and the process is alive
            hold += sorted(remaining, key=part.__contains__)  # whoever met it comes last next time
            reasons.append(f"{type(error).__name__}: {in_one_line(error)}")
        if unsent or hold:
            raise Unfinished("; ".join(reasons), give_back=unsent, hold=hold)

    def _publish(self, applied: Applied, reasons: list[str]) -> list[Delivery]:
        """Sends what the batch led to; gives those deliveries back that led to what could not be sent."""
        try:
            self._publisher.publish(applied.outgoing)
        except PublishFailed as error:
            unsent = [delivery for sent, delivery in applied.sources if sent in error.message_ids]
            if not unsent:
                logger.warning("what a batch has led to is sent later: %s", error)
            reasons.append(str(error))
            return unsent
        return []

    def _parts(self, deliveries: Sequence[Delivery]) -> Iterator[tuple[Sequence[Delivery], Sequence[Delivery]]]:
        """What is to be handled together, in turn: (deliveries, those among the batch that are poison)."""
        verdicts = self._suspects.verdicts(deliveries)
        sorted_out: dict[Verdict, list[Delivery]] = {verdict: [] for verdict in Verdict}
        for delivery, verdict in zip(deliveries, verdicts, strict=True):
            careful = verdict is Verdict.TOGETHER and delivery.tried_before and self.alone_after_weather
            sorted_out[Verdict.ALONE if careful else verdict].append(delivery)
        together, poison = sorted_out[Verdict.TOGETHER], sorted_out[Verdict.POISON]
        if together or poison:
            self._suspects.count(together)
            yield together, poison
        for delivery in sorted_out[Verdict.ALONE]:
            self._suspects.count([delivery])
            yield [delivery], ()
