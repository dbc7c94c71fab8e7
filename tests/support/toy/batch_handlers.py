"""The toy's handlers with the promise that they touch nothing but their database: so they are done in batches."""

import os
import signal

from sagas_framework import HandlerContext, handles
from tests.support.toy import messages


@handles(messages.work, database_only=True)
def work(payload: messages.Work, step: HandlerContext) -> messages.Done:
    if payload.kill_handler:
        os.kill(os.getpid(), signal.SIGKILL)
    return messages.Done(payload.number)
