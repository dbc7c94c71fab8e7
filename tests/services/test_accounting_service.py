from collections.abc import Callable
from uuid import UUID

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from accounting_service import handlers, prepare_database
from accounting_service.models import CardAuthorization
from messaging.accounting_service_messaging import authorize_card_message, void_authorization_message
from tests.services.doubles import SAGA_ID, StepMaker


@pytest.fixture
def create_tables() -> Callable[[Engine], None]:
    return prepare_database.prepare


def authorize(step_with: StepMaker, amount: int) -> str:
    payload = authorize_card_message.Payload(card_id=4711, amount=amount)
    return handlers.authorize_card(payload, step_with()).transaction_id


def void(step_with: StepMaker, transaction_id: str | None, reply: dict[str, str] | None = None) -> None:
    payload = void_authorization_message.Payload(transaction_id)
    handlers.void_authorization(payload, step_with(reply=reply))


@pytest.mark.parametrize("amount", [1, 49])
def test_an_amount_below_the_balance_is_held_on_the_card(session: Session, step_with: StepMaker, amount: int) -> None:
    transaction_id = authorize(step_with, amount)

    held = session.scalars(select(CardAuthorization)).one()
    assert UUID(transaction_id) == UUID(held.transaction_id)
    assert (held.saga_id, held.card_id, held.status) == (SAGA_ID, 4711, "authorized")
    assert held.amount_cents == amount * 100


@pytest.mark.parametrize("amount", [50, 51, 1_000_000])
def test_an_amount_of_the_whole_balance_and_more_is_refused(
    session: Session, step_with: StepMaker, amount: int
) -> None:
    with pytest.raises(handlers.InsufficientBalance, match=f"card 4711 is too low for {amount}$"):
        authorize(step_with, amount)
    assert session.scalars(select(CardAuthorization)).all() == []


@pytest.mark.parametrize("amount", [0, -5])
def test_less_than_something_cannot_be_held(step_with: StepMaker, amount: int) -> None:
    with pytest.raises(handlers.InvalidAmount):
        authorize(step_with, amount)


def test_an_authorization_is_voided_and_voiding_again_changes_nothing(session: Session, step_with: StepMaker) -> None:
    transaction_id = authorize(step_with, 20)
    void(step_with, transaction_id)
    void(step_with, transaction_id)
    assert session.get_one(CardAuthorization, transaction_id).status == "voided"


def test_an_authorization_is_voided_although_its_id_was_lost_on_the_way(session: Session, step_with: StepMaker) -> None:
    transaction_id = authorize(step_with, 20)
    void(step_with, None, reply={"transaction_id": transaction_id})
    assert session.get_one(CardAuthorization, transaction_id).status == "voided"


@pytest.mark.parametrize("transaction_id", [None, "no-such-transaction"])
def test_voiding_an_authorization_that_nobody_knows_is_refused(
    step_with: StepMaker, transaction_id: str | None
) -> None:
    with pytest.raises(handlers.UnknownAuthorization):
        void(step_with, transaction_id)
