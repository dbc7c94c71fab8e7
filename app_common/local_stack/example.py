"""A small system for as long as an example lasts: Redis, a worker a service, and in front what the example shows."""

import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from local_stack.messages import Console, StackError, StopRequested
from local_stack.plan import CHECKOUT, DEFAULTS, Page, Plan, in_this_interpreter, plan_of
from local_stack.stack import running

SHOW_SECONDS = 300.0
FOR_EVER_SECONDS = float("inf")
NO_PAGES: Mapping[str, Page] = {}


def run_example(
    package: str, services: Sequence[str], pages: Mapping[str, Page] = NO_PAGES, *, keep_running: bool = False
) -> int:
    """Runs `python -m <package>.show` beside the workers of the package's services; gives the exit code.

    `keep_running`: instead of that, prints what another terminal needs to reach them, and serves until Ctrl-C.

    Each service has `worker.py` (its `app`) and `prepare_database.py`, and where it is among the `pages`, `web.py`,
    which listens on the port that the page's variable holds. The databases lie in a folder that goes away with the
    system, unless `<SERVICE>_DATABASE_URL` says otherwise. The broker is `CELERY_BROKER`, or a Redis started for the
    occasion. What is shown goes to the standard output, and what the stack has to say to the standard error.
    """
    console = Console(sys.stderr)
    state = Path(tempfile.mkdtemp(prefix="sagas-"))
    try:
        plan = with_pages(
            plan_of([f"{package}.{name}" for name in services], CHECKOUT, state, os.environ), package, pages
        )
        with running(plan, console, show_output=keep_running) as supervisor:
            if keep_running:
                print_environment(plan)
                console.say("Ctrl-C stops everything")
                supervisor.wait_until(lambda: False, FOR_EVER_SECONDS, "Ctrl-C")
            supervisor.run_in_front("show", in_this_interpreter(["python", "-m", f"{package}.show"]), SHOW_SECONDS)
        return 0
    except StackError as error:
        console.complain(str(error))
    except StopRequested:
        if keep_running:
            return 0
        console.say("stopped before the end")
    finally:
        shutil.rmtree(state)
    return 1


def print_environment(plan: Plan) -> None:
    """What was chosen here and whoever wants to reach the services has to know, to be pasted into a shell."""
    for name, value in plan.environment.items():
        if os.environ.get(name) != value and name not in DEFAULTS:
            print(f"export {name}={shlex.quote(value)}", flush=True)


def with_pages(plan: Plan, package: str, pages: Mapping[str, Page]) -> Plan:
    commands = {f"{name} page": in_this_interpreter(["python", "-m", f"{package}.{name}.web"]) for name in pages}
    return replace(
        plan,
        environment={**plan.environment, **{page.variable: str(page.port) for page in pages.values()}},
        commands={**plan.commands, **commands},
        pages={f"{name} page": [page] for name, page in pages.items()},
    )
