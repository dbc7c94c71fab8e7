"""CreateOrder with celery-saga: every step is a task of its chain, which calls the task of the service in process."""

import os
from dataclasses import asdict
from typing import Any

import celery_workers
import create_order
from celery_saga import PermanentFailure, Saga, SagaStatus, saga_task, set_default_backend
from celery_saga.backends import RedisSagaBackend
from celery_saga.state import SagaExecution
from create_order import InsufficientBalance, Report, order_of
from redis import Redis
from reports import report

MODE = celery_workers.mode()
REPORTS = {SagaStatus.COMPLETED: Report.ORDER_APPROVED, SagaStatus.COMPENSATED: Report.ORDER_REJECTED}

app = celery_workers.application("celery_saga_peer")


class ReportingBackend(RedisSagaBackend):
    """There is no callback at the end of a saga: its last write is what tells."""

    def save(self, execution: SagaExecution) -> None:
        super().save(execution)
        if execution.status in REPORTS:
            report(execution.input_data["order_id"], REPORTS[execution.status])


def redis_of(broker: str) -> Redis:
    if broker.startswith("redis+socket://"):
        return Redis(unix_socket_path=broker.removeprefix("redis+socket://"))
    return Redis.from_url(broker)


set_default_backend(ReportingBackend(redis_of(os.environ[celery_workers.BROKER_VARIABLE])))


@app.task(name="restaurant_service.reject_ticket")
def reject_ticket(ticket: dict[str, Any]) -> None:
    create_order.reject_ticket(ticket)
    report(ticket["ticket_id"], Report.TICKET_REJECTED)


@saga_task(app, name="consumer_service.verify_consumer_details", no_compensation=True)
def verify_consumer_details(**order: Any) -> dict[str, Any]:
    return create_order.verify_consumer_details(order)


@saga_task(app, name="restaurant_service.create_ticket", compensate=reject_ticket)
def create_ticket(**order: Any) -> dict[str, Any]:
    return create_order.create_ticket(order)


@saga_task(app, name="accounting_service.authorize_card", no_compensation=True)
def authorize_card(**order: Any) -> dict[str, Any]:
    try:
        return create_order.authorize_card(order)
    except InsufficientBalance as refusal:
        raise PermanentFailure(str(refusal)) from refusal


@saga_task(app, name="restaurant_service.approve_ticket", no_compensation=True)
def approve_ticket(**order: Any) -> dict[str, Any]:
    return create_order.approve_ticket(order)


create_order_saga = Saga("create_order")
for step in (verify_consumer_details, create_ticket, authorize_card, approve_ticket):
    create_order_saga.add_step(step)


def start_saga(saga_id: int) -> None:
    create_order_saga.run(**asdict(order_of(saga_id, MODE)))
