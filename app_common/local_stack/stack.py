"""The order of starting and stopping."""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

from local_stack import redis_server
from local_stack.health import WORKER_READY_LINE, page_answers, require_free_port
from local_stack.messages import Console, StackError, TookTooLong
from local_stack.plan import Plan, in_this_interpreter, name_of, preparation_command
from local_stack.processes import Child, Supervisor

REDIS = "redis"
REDIS_START_SECONDS = 20.0
PREPARATION_SECONDS = 90.0
START_SECONDS = 90.0
GRACE_SECONDS = 10.0
REDIS_GRACE_SECONDS = 5.0


@contextmanager
def running(plan: Plan, console: Console, *, show_output: bool) -> Iterator[Supervisor]:
    """The whole system, healthy on entry; on exit, whatever the reason, no process is left."""
    plan.state.mkdir(parents=True, exist_ok=True)
    with only_stack_in(plan.state):
        for page in chain.from_iterable(plan.pages.values()):
            require_free_port(page.host, page.port, page.variable)
        supervisor = Supervisor(console, plan.checkout, plan.environment)
        supervisor.stop_on_signals()
        try:
            start(plan, supervisor, console, show_output=show_output)
            yield supervisor
        finally:
            console.say("stopping")
            # Redis last: a worker that shuts down warm gives back to the broker what it still holds.
            supervisor.stop([name for name in supervisor.names if name != REDIS], GRACE_SECONDS)
            supervisor.stop([REDIS], REDIS_GRACE_SECONDS)


@contextmanager
def only_stack_in(state: Path) -> Iterator[None]:
    """The lock goes with the process, so a killed stack never leaves it behind."""
    with (state / "stack.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise StackError(
                "a local stack is already running in this checkout "
                f"(process {file.read().strip() or 'unknown'}): use that one, or stop it first"
            ) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def start(plan: Plan, supervisor: Supervisor, console: Console, *, show_output: bool) -> None:
    began_at = time.monotonic()
    if plan.has_own_redis:
        console.say("starting the embedded Redis")
        start_redis(plan, supervisor)
    console.say("preparing the databases")
    supervisor.run_to_the_end(
        {f"{name_of(service)} db": in_this_interpreter(preparation_command(service)) for service in plan.services},
        PREPARATION_SECONDS,
    )
    console.say(f"starting {', '.join(plan.commands)}")
    started = [
        supervisor.start(
            name, command, ready_line=None if name in plan.pages else WORKER_READY_LINE, show_output=show_output
        )
        for name, command in plan.commands.items()
    ]
    wait_until_healthy(plan, supervisor, started)
    console.say(f"all healthy after {time.monotonic() - began_at:.1f} s")


def start_redis(plan: Plan, supervisor: Supervisor) -> None:
    executable = redis_server.find_executable()
    supervisor.start(REDIS, redis_server.command(executable, plan.state), show_output=False)
    socket = redis_server.socket_path(plan.state)
    supervisor.wait_until(lambda: redis_server.answers(socket), REDIS_START_SECONDS, "Redis to answer")


def wait_until_healthy(plan: Plan, supervisor: Supervisor, started: list[Child]) -> None:
    deadline = time.monotonic() + START_SECONDS
    for child in started:
        remaining_seconds = max(1.0, deadline - time.monotonic())
        try:
            supervisor.wait_until(health_check(plan, child), remaining_seconds, f"{child.name} to be ready")
        except TookTooLong:
            supervisor.show_tail(child)
            raise


def health_check(plan: Plan, child: Child) -> Callable[[], bool]:
    pages = plan.pages.get(child.name)
    if pages is not None:
        return lambda: all(map(page_answers, pages))
    return lambda: child.is_ready
