"""CreateOrder with saga-framework, as its example application does it, but without a repository: nothing is kept."""

from typing import Any

import celery_workers
from celery import Task
from create_order import REJECT_TICKET, REPLY_QUEUE, STEPS, Command, Report, order_of
from reports import report
from saga_framework import (
    NO_ACTION,
    AsyncSaga,
    AsyncStep,
    BaseStep,
    SyncStep,
    no_response_saga_step_handler,
    saga_step_handler,
)

MODE = celery_workers.mode()
CREATE_TICKET = STEPS[1]

app = celery_workers.application("saga_framework_peer")


class CreateOrderSaga(AsyncSaga):
    def __init__(self, celery_app: Any, saga_id: int) -> None:
        super().__init__(celery_app, saga_id)
        self.steps = [
            SyncStep("reject_order", compensation=self.reject_order),
            *(self._step_of(command) for command in STEPS),
            SyncStep("approve_order", action=self.approve_order),
        ]

    def _step_of(self, command: Command) -> AsyncStep:
        def ask(step: AsyncStep) -> None:
            self.send_message_to_other_service(step, command.payload_of(order_of(self.saga_id, MODE)))

        compensation = self.reject_ticket if command is CREATE_TICKET else NO_ACTION
        return AsyncStep(command.name, command.queue, name=command.name, action=ask, compensation=compensation)

    def reject_ticket(self, step: AsyncStep) -> None:
        payload = REJECT_TICKET.payload_of(order_of(self.saga_id, MODE))
        self.send_message_to_other_service(step, payload, REJECT_TICKET.name)

    def approve_order(self, step: BaseStep) -> None:
        report(self.saga_id, Report.ORDER_APPROVED)

    def reject_order(self, step: BaseStep) -> None:
        report(self.saga_id, Report.ORDER_REJECTED)


CreateOrderSaga.register_async_step_handlers(app)


def start_saga(saga_id: int) -> None:
    CreateOrderSaga(app, saga_id).execute()


def _register(command: Command) -> None:
    @app.task(name=command.name, bind=True)
    @saga_step_handler(response_queue=REPLY_QUEUE)
    def handle(task: Task, saga_id: int, payload: dict[str, Any]) -> dict[str, Any]:
        return command.handle(payload)


for each in STEPS:
    _register(each)


# Compensations are sent and forgotten: only the restaurant knows when the ticket is rejected.
@app.task(name=REJECT_TICKET.name, bind=True)
@no_response_saga_step_handler
def reject_ticket(task: Task, saga_id: int, payload: dict[str, Any]) -> None:
    REJECT_TICKET.handle(payload)
    report(saga_id, Report.TICKET_REJECTED)
