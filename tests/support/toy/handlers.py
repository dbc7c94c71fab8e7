import os
import signal

from sagas_framework import HandlerContext, handles
from tests.support.toy import messages


@handles(messages.work)
def work(payload: messages.Work, step: HandlerContext) -> messages.Done:
    if payload.kill_handler:
        os.kill(os.getpid(), signal.SIGKILL)
    return messages.Done(payload.number)


@handles(messages.refuse)
def refuse(payload: messages.Work, step: HandlerContext) -> None:
    raise ValueError(f"{payload.number} is refused")


@handles(messages.take_note)
def take_note(payload: messages.Work, step: HandlerContext) -> None:
    """Nobody waits for this; the participant's memory says that it was done."""
