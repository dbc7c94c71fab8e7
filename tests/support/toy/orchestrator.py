import os
import signal
from dataclasses import dataclass

from sagas_framework import AsyncStep, Saga, StepContext, create_orchestrator, send
from sagas_framework.environment import read_broker, read_database_url
from tests.support.toy import messages


@dataclass
class ToyData:
    number: int
    kill_handler: bool = False
    kill_orchestrator: bool = False


def work_to_do(data: ToyData, step: StepContext) -> messages.Work:
    return messages.Work(data.number, data.kill_handler)


def on_done(data: ToyData, reply: messages.Done, step: StepContext) -> None:
    if data.kill_orchestrator:
        os.kill(os.getpid(), signal.SIGKILL)


class ToySaga(Saga[ToyData]):
    response_queue = "toy.responses"
    steps = (AsyncStep("work", messages.work, work_to_do, on_success=on_done),)


class UnawaitedSaga(Saga[ToyData]):
    """What its first step did is undone by a command that nobody awaits."""

    response_queue = "toy.responses"
    steps = (
        AsyncStep("work", messages.work, work_to_do, compensation=send(messages.take_note, work_to_do, awaited=False)),
        AsyncStep("refuse", messages.refuse, work_to_do),
    )


SAGAS = [ToySaga, UnawaitedSaga]

orchestrator = create_orchestrator(
    "toy", broker=read_broker(), database_url=read_database_url("ORCHESTRATOR"), sagas=SAGAS
)
app = orchestrator.app
