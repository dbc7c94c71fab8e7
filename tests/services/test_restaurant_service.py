from collections.abc import Callable

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from messaging.restaurant_service_messaging import (
    approve_ticket_message,
    create_ticket_message,
    reject_ticket_message,
)
from restaurant_service import handlers, prepare_database
from restaurant_service.models import Ticket
from tests.services.doubles import SAGA_ID, StepMaker

BUSY = "RESTAURANT_SERVICE_TRANSIENT_APPROVALS"


@pytest.fixture
def create_tables() -> Callable[[Engine], None]:
    return prepare_database.prepare


@pytest.fixture(autouse=True)
def a_kitchen_with_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(BUSY, raising=False)


def create(step_with: StepMaker, *quantities: int) -> int:
    items = [create_ticket_message.OrderItem("Ramen", quantity) for quantity in quantities]
    payload = create_ticket_message.Payload(order_id=7, customer_id=73, items=items)
    return handlers.create_ticket(payload, step_with()).ticket_id


def approve(step_with: StepMaker, ticket_id: int, attempt: int = 1) -> None:
    handlers.approve_ticket(approve_ticket_message.Payload(ticket_id), step_with(attempt))


def reject(step_with: StepMaker, ticket_id: int | None, reply: dict[str, int] | None = None) -> None:
    handlers.reject_ticket(reject_ticket_message.Payload(ticket_id), step_with(reply=reply))


def test_a_new_ticket_says_what_to_cook_and_for_which_saga(session: Session, step_with: StepMaker) -> None:
    ticket_id = create(step_with, 2, 100_500)

    ticket = session.scalars(select(Ticket)).one()
    assert (ticket.id, ticket.saga_id, ticket.order_id) == (ticket_id, SAGA_ID, 7)
    assert (ticket.customer_id, ticket.status) == (73, "created")
    assert ticket.items == [{"name": "Ramen", "quantity": 2}, {"name": "Ramen", "quantity": 100_500}]


@pytest.mark.parametrize("quantities", [(), (0,), (2, -1)])
def test_an_order_of_nothing_gets_no_ticket(
    session: Session, step_with: StepMaker, quantities: tuple[int, ...]
) -> None:
    with pytest.raises(handlers.NothingToCook, match="Order 7 "):
        create(step_with, *quantities)
    assert session.scalars(select(Ticket)).all() == []


def test_a_ticket_is_approved_and_approving_again_changes_nothing(session: Session, step_with: StepMaker) -> None:
    ticket_id = create(step_with, 1)
    approve(step_with, ticket_id)
    approve(step_with, ticket_id)
    assert session.get_one(Ticket, ticket_id).status == "approved"


def test_a_busy_kitchen_refuses_the_first_attempts_of_each_ticket(
    session: Session, step_with: StepMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(BUSY, "2")
    for ticket_id in (create(step_with, 1), create(step_with, 1)):
        for attempt in (1, 2):
            with pytest.raises(handlers.KitchenIsBusy):
                approve(step_with, ticket_id, attempt)
            assert session.get_one(Ticket, ticket_id).status == "created"
        approve(step_with, ticket_id, attempt=3)
        assert session.get_one(Ticket, ticket_id).status == "approved"


def test_a_rejected_ticket_is_never_approved(session: Session, step_with: StepMaker) -> None:
    ticket_id = create(step_with, 1)
    reject(step_with, ticket_id)
    with pytest.raises(handlers.TicketWasRejected):
        approve(step_with, ticket_id)
    assert session.get_one(Ticket, ticket_id).status == "rejected"


def test_an_approved_ticket_is_never_rejected(session: Session, step_with: StepMaker) -> None:
    ticket_id = create(step_with, 1)
    approve(step_with, ticket_id)
    with pytest.raises(handlers.TicketWasApproved):
        reject(step_with, ticket_id)
    assert session.get_one(Ticket, ticket_id).status == "approved"


def test_a_ticket_is_rejected_although_its_id_was_lost_on_the_way(session: Session, step_with: StepMaker) -> None:
    ticket_id = create(step_with, 1)
    reject(step_with, None, reply={"ticket_id": ticket_id})
    assert session.get_one(Ticket, ticket_id).status == "rejected"


def test_the_restaurants_own_memory_goes_before_what_the_command_says(session: Session, step_with: StepMaker) -> None:
    somebody_elses, ours = create(step_with, 1), create(step_with, 1)
    reject(step_with, somebody_elses, reply={"ticket_id": ours})
    assert session.get_one(Ticket, somebody_elses).status == "created"
    assert session.get_one(Ticket, ours).status == "rejected"


@pytest.mark.parametrize("ticket_id", [None, 404])
def test_rejecting_a_ticket_that_nobody_knows_is_refused(step_with: StepMaker, ticket_id: int | None) -> None:
    with pytest.raises(handlers.UnknownTicket):
        reject(step_with, ticket_id)


def test_approving_a_ticket_that_nobody_knows_is_refused(step_with: StepMaker) -> None:
    with pytest.raises(handlers.UnknownTicket):
        approve(step_with, 404)
