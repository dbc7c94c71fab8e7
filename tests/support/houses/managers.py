"""The readings of all meters of a house in one saga, kept as a state, and as a stream of own events."""

from dataclasses import dataclass, field
from datetime import timedelta

from sagas_framework import EventSourcedProcessManager, ProcessManager, applies, handles
from tests.support.meters.messages import Bill, MeterBilled, MeterRead, bill

BILLED_EVERY = 10
REMINDED_AFTER = timedelta(seconds=2)


@dataclass
class Readings:
    by_meter: dict[str, list[int]] = field(default_factory=dict)

    def note(self, meter: str, reading: int) -> None:
        self.by_meter.setdefault(meter, []).append(reading)


class House(ProcessManager[Readings]):
    """Each tenth reading of a meter is billed, and said to be; the first one is billed a little later as well."""

    commands = (bill,)
    publishes = (MeterBilled,)

    @handles(MeterRead, saga_key="house", event_key="house", starts="if_none")
    def note(self, event: MeterRead) -> None:
        self.keys.set("house", event.house)
        self.state.note(event.meter, event.reading)
        if event.reading == 1:
            self.send_later(bill, Bill(event.meter, event.reading, "later"), delay=REMINDED_AFTER)
        if event.reading % BILLED_EVERY == 0:
            self.send(bill, Bill(event.meter, event.reading, "now"))
            self.publish(MeterBilled(f"{event.meter}-{event.reading}"))


@dataclass(frozen=True)
class Noted:
    meter: str
    reading: int


class RecordedHouse(EventSourcedProcessManager[Readings]):
    snapshot_every = 20

    @handles(MeterRead, saga_key="house", event_key="house", starts="if_none")
    def note(self, event: MeterRead) -> None:
        self.keys.set("house", event.house)
        self.record(Noted(event.meter, event.reading))

    @applies(Noted)
    def _on_noted(self, noted: Noted) -> None:
        self.state.note(noted.meter, noted.reading)


MANAGERS = (House, RecordedHouse)
