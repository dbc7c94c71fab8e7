import os
import signal

from sagas_framework import HandlerContext, handles
from tests.support.toy import messages


@handles(messages.work)
def work(payload: messages.Work, step: HandlerContext) -> messages.Done:
    if payload.kill_handler:
        os.kill(os.getpid(), signal.SIGKILL)
    return messages.Done(payload.number)
