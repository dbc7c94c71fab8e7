"""The order flow without an orchestrator, and the same flow as a saga."""

import re
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from examples.order_choreography import as_a_saga
from examples.order_choreography.accounting.models import Authorization
from examples.order_choreography.accounting.models import Base as AccountingBase
from examples.order_choreography.orders.models import Base as OrdersBase
from examples.order_choreography.orders.models import Order
from examples.order_choreography.restaurant.models import Base as RestaurantBase
from examples.order_choreography.restaurant.models import Ticket
from sagas_framework import Failure, HandlerContext, Refusal
from sagas_framework.participant.handlers import marked_in
from sagas_framework.transport.wire import OutgoingMessage, read_arguments
from tests.support.examples import as_printed, run_example
from tests.support.orchestration import Bench, answer


@pytest.mark.slow
@pytest.mark.redis
def test_the_one_command_prints_what_the_readme_says() -> None:
    assert run_example("order_choreography") == as_printed("order_choreography")[1]


@pytest.fixture
def bench(engine: Engine) -> Iterator[Bench]:
    for base in (OrdersBase, RestaurantBase, AccountingBase):
        base.metadata.create_all(engine)
    yield Bench(engine, as_a_saga.CreateOrder)
    for base in (OrdersBase, RestaurantBase, AccountingBase):
        base.metadata.drop_all(engine)


HANDLERS = {marked.command.name: (marked.command, handler) for handler, marked in marked_in(as_a_saga)}


def done(bench: Bench, sent: OutgoingMessage) -> Failure | None:
    """What the participant answers, as its worker would."""
    command, handler = HANDLERS[sent.task]
    _, payload = read_arguments(sent.body, "application/json")
    with Session(bench.engine) as session, session.begin():
        step = HandlerContext("a saga", "a step", 1, session)
        try:
            handler(command.decode_payload(payload), step)
        except Refusal as refusal:
            return Failure.of(refusal)
    return None


def test_the_saga_that_it_is_compared_with_ends_every_order_alike(bench: Bench) -> None:
    printed = re.findall(r"Consumer (\d+) orders (.+) for (\d+)\n((?:    .+\n)+)", as_printed("order_choreography")[1])
    assert len(printed) == 4
    for order_id, (consumer_id, dish, amount, outcome) in enumerate(printed, start=1):
        with Session(bench.engine) as session, session.begin():
            session.add(Order(id=order_id))
        bench.started(as_a_saga.CreateOrder, as_a_saga.OrderData(order_id, int(consumer_id), dish, 5994, int(amount)))
        while sent := bench.publisher.take():
            bench.handle(*(answer(one, done(bench, one)) for one in sent))
        with Session(bench.engine) as session:
            order, ticket = session.get_one(Order, order_id), session.get(Ticket, order_id)
            held = session.get(Authorization, order_id)
            assert outcome.split("\n")[:-1] == [
                f"    order:         {order.status}" + (f" ({order.why})" if order.why else ""),
                f"    ticket:        {ticket.status if ticket else 'none'}",
                f"    authorization: {held.amount if held else 'none'}",
            ]
