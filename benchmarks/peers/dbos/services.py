"""What the three services write: the rows our participants write, with SQLAlchemy, which DBOS brings along."""

from uuid import uuid4

import sqlalchemy as sa
from create_order import BALANCE, InsufficientBalance, Order
from sqlalchemy.orm import Session

metadata = sa.MetaData()
consumers = sa.Table(
    "consumers",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("status", sa.String(20), nullable=False),
)
tickets = sa.Table(
    "tickets",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("order_id", sa.Integer, nullable=False),
    sa.Column("customer_id", sa.Integer, nullable=False),
    sa.Column("items", sa.JSON, nullable=False),
    sa.Column("status", sa.String(20), nullable=False),
)
card_authorizations = sa.Table(
    "card_authorizations",
    metadata,
    sa.Column("transaction_id", sa.String(36), primary_key=True),
    sa.Column("card_id", sa.Integer, nullable=False),
    sa.Column("amount", sa.Integer, nullable=False),
)


def create_tables(engine: sa.Engine) -> None:
    metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(sa.insert(consumers), [{"id": number, "status": "active"} for number in range(50, 100)])


def verify_consumer_details(session: Session, order: Order) -> None:
    status = session.scalar(sa.select(consumers.c.status).where(consumers.c.id == order.consumer_id))
    if status != "active":
        raise ValueError(f"Consumer {order.consumer_id} may not order")


def create_ticket(session: Session, order: Order) -> int:
    ticket = sa.insert(tickets).values(
        order_id=order.order_id, customer_id=order.consumer_id, items=order.items, status="created"
    )
    ticket_id: int = session.execute(ticket.returning(tickets.c.id)).scalar_one()
    return ticket_id


def authorize_card(session: Session, order: Order) -> str:
    if order.amount >= BALANCE:
        raise InsufficientBalance(f"The balance of card {order.card_id} is too low for {order.amount}")
    transaction_id = str(uuid4())
    session.execute(
        sa.insert(card_authorizations).values(transaction_id=transaction_id, card_id=order.card_id, amount=order.amount)
    )
    return transaction_id


def settle_ticket(session: Session, ticket_id: int, status: str) -> None:
    session.execute(sa.update(tickets).where(tickets.c.id == ticket_id).values(status=status))
