"""`python -m tests.support.dying MOMENT TASK SERVICE`: a worker that kills itself at one exact line.

MOMENT is `before_publish` (its transaction is committed, nothing is sent), `amid_publish` (half of the batch is sent)
or `after_publish` (sent and confirmed, the messages that caused it not acknowledged); TASK is the name of a task that
is being published then. Or MOMENT is `after_call`, and TASK a function, `module:Class.method`, that has just returned.
SERVICE is the package whose `worker` module holds the app; with `launch` and `publish` it is not a worker that dies but
the process that starts a saga, or publishes events.
"""

import importlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import reduce
from random import Random
from typing import Any

from local_stack.plan import CHECKOUT
from sagas_framework.transport.publisher import Publisher
from sagas_framework.transport.wire import OutgoingMessage

publish = Publisher.publish


def die_at(moment: str, what: str) -> None:
    if moment == "after_call":
        die_after(what)
    else:
        die_publishing(moment, what)


def die_after(function: str) -> None:
    module, _, path = function.partition(":")
    *above, name = path.split(".")
    owner = reduce(getattr, above, importlib.import_module(module))
    whole = getattr(owner, name)

    def call_and_die(*arguments: Any, **named: Any) -> None:
        whole(*arguments, **named)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(owner, name, call_and_die)


def die_publishing(moment: str, task: str) -> None:
    def publish_or_die(self: Publisher, messages: Sequence[OutgoingMessage]) -> None:
        doomed = any(message.task == task for message in messages)
        if doomed and moment != "before_publish":
            publish(self, messages if moment == "after_publish" else messages[: len(messages) // 2])
        if doomed:
            os.kill(os.getpid(), signal.SIGKILL)
        publish(self, messages)

    Publisher.publish = publish_or_die  # type: ignore[method-assign]


def start_dying(environment: Mapping[str, str], moment: str, task: str, service: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.support.dying", moment, task, service],
        cwd=CHECKOUT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def launch() -> None:
    from order_service import launches
    from order_service.worker import orchestrator

    launches.place_order(orchestrator, launches.order_that_succeeds(Random(1)))


def publish_readings() -> None:
    """Of a meter that is named by this process."""
    from tests.support.meters.messages import MeterRead
    from tests.support.meters.worker import participant

    with participant.sessions.begin() as session:
        for reading in range(1, 31):
            participant.publish(MeterRead(str(os.getpid()), "a house", reading), session=session)


BEGINNINGS = {"launch": launch, "publish": publish_readings}


def main(moment: str, task: str, service: str) -> None:
    die_at(moment, task)
    if service in BEGINNINGS:
        BEGINNINGS[service]()
    else:
        app = importlib.import_module(f"{service}.worker").app
        app.worker_main(["worker", "--loglevel", "INFO"])


if __name__ == "__main__":
    main(*sys.argv[1:])
