"""A command, a reply, the next command: the messages of the saga and nothing else."""

from typing import Any

import celery_workers
from celery import Task
from create_order import REJECT_TICKET, REPLY_QUEUE, STEPS, Command, InsufficientBalance, Report, order_of
from reports import report

MODE = celery_workers.mode()

app = celery_workers.application("celery_pingpong")


def start_saga(saga_id: int) -> None:
    _send(STEPS[0], saga_id)


def _send(command: Command, saga_id: int) -> None:
    app.send_task(command.name, args=[saga_id, command.payload_of(order_of(saga_id, MODE))], queue=command.queue)


def _register(command: Command) -> None:
    @app.task(name=command.name, bind=True)
    def handle(task: Task, saga_id: int, payload: dict[str, Any]) -> None:
        try:
            reply = {"succeeded": True, **command.handle(payload)}
        except InsufficientBalance as refusal:
            reply = {"succeeded": False, "error": str(refusal)}
        app.send_task("replied", args=[saga_id, task.name, reply], queue=REPLY_QUEUE)


for each in (*STEPS, REJECT_TICKET):
    _register(each)

STEP_AFTER = {step.name: following for step, following in zip(STEPS, (*STEPS[1:], None), strict=True)}


@app.task(name="replied")
def replied(saga_id: int, command_name: str, reply: dict[str, Any]) -> None:
    if command_name == REJECT_TICKET.name:
        report(saga_id, Report.TICKET_REJECTED)
        report(saga_id, Report.ORDER_REJECTED)
    elif not reply["succeeded"]:
        _send(REJECT_TICKET, saga_id)
    elif (step := STEP_AFTER[command_name]) is not None:
        _send(step, saga_id)
    else:
        report(saga_id, Report.ORDER_APPROVED)
