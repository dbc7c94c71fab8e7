"""The orchestrator, whose saga an event starts, and which tells of its end by another."""

from dataclasses import dataclass

from sagas_framework import AsyncStep, Saga, StepContext, create_orchestrator, starts
from sagas_framework.environment import read_broker, read_database_url
from tests.support.shop import messages


@dataclass
class Order:
    order_id: int


def to_pack(data: Order, step: StepContext) -> messages.Pack:
    return messages.Pack(data.order_id)


class PackOrder(Saga[Order]):
    response_queue = messages.OFFICE_REPLIES
    steps = (AsyncStep("pack", messages.pack, to_pack),)

    def on_saga_success(self, data: Order, step: StepContext) -> None:
        step.publish(messages.OrderPacked(data.order_id))


def order_of(event: messages.OrderPlaced) -> Order:
    return Order(event.order_id)


orchestrator = create_orchestrator(
    "office",
    broker=read_broker(),
    database_url=read_database_url("OFFICE"),
    sagas=[PackOrder],
    publishes=[messages.OrderPacked],
    events_queue=messages.OFFICE_EVENTS,
    on_events=[starts(PackOrder, on=messages.OrderPlaced, data=order_of)],
)
app = orchestrator.app
