"""CreateOrder as a DBOS workflow of four steps, each of which writes the rows of one service."""

import os
from collections.abc import Callable
from functools import wraps
from typing import Concatenate, Literal, ParamSpec, TypeVar

import services
from create_order import InsufficientBalance, Mode, Report, order_of
from dbos import DBOS, DBOSConfig, SQLAlchemyDatasource
from reports import WORKER_VARIABLE, report
from sqlalchemy.orm import Session

P = ParamSpec("P")
R = TypeVar("R")

APPLICATION = "create-order"

# The runner sets these, for itself and for its worker processes.
DATABASE = os.environ["PEER_DATABASE"]
STEPS = os.environ["PEER_STEPS"]
THREADS = int(os.environ["PEER_THREADS"])
MODE = Mode(os.environ["PEER_MODE"])

IS_SQLITE = DATABASE.startswith("sqlite")
# DBOS would take SERIALIZABLE. On PostgreSQL the rows of two sagas never meet, and our participants run at this level.
ISOLATION: Literal["SERIALIZABLE", "READ COMMITTED"] = "SERIALIZABLE" if IS_SQLITE else "READ COMMITTED"

DBOS(
    config=DBOSConfig(
        name=APPLICATION,
        system_database_url=DATABASE,
        executor_id=os.environ.get(WORKER_VARIABLE, "producer"),
        max_executor_threads=THREADS,
        sys_db_pool_size=THREADS + 10,
        log_level="WARNING",
    )
)
datasource = SQLAlchemyDatasource.create(DATABASE, engine_kwargs={"pool_size": THREADS})


def step(write: Callable[Concatenate[Session, P], R]) -> Callable[P, R]:
    """A step that commits its checkpoint together with its rows; or a plain one, which a crash in between repeats."""

    @wraps(write)
    def in_transaction_of_the_checkpoint(*arguments: P.args, **named: P.kwargs) -> R:
        return write(datasource.sql_session(), *arguments, **named)

    @wraps(write)
    def in_its_own_transaction(*arguments: P.args, **named: P.kwargs) -> R:
        with Session(datasource.engine) as session, session.begin():
            return write(session, *arguments, **named)

    if STEPS == "transactions":
        return datasource.transaction(isolation_level=ISOLATION)(in_transaction_of_the_checkpoint)
    return DBOS.step()(in_its_own_transaction)


verify_consumer_details = step(services.verify_consumer_details)
create_ticket = step(services.create_ticket)
authorize_card = step(services.authorize_card)
settle_ticket = step(services.settle_ticket)


@DBOS.workflow()
def create_order(saga_id: int) -> str:
    order = order_of(saga_id, MODE)
    verify_consumer_details(order)
    ticket_id = create_ticket(order)
    try:
        authorize_card(order)
    except InsufficientBalance:
        settle_ticket(ticket_id, "rejected")
        report(saga_id, Report.TICKET_REJECTED)
        report(saga_id, Report.ORDER_REJECTED)
        return Report.ORDER_REJECTED
    settle_ticket(ticket_id, "approved")
    report(saga_id, Report.ORDER_APPROVED)
    return Report.ORDER_APPROVED
