"""A small system for as long as an example lasts: Redis, a worker a service, and in front what the example shows."""

import os
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from local_stack.messages import Console, StackError, StopRequested
from local_stack.plan import CHECKOUT, Page, Plan, in_this_interpreter, plan_of
from local_stack.stack import running

SHOW_SECONDS = 300.0
NO_PAGES: Mapping[str, Page] = {}


def run_example(package: str, services: Sequence[str], pages: Mapping[str, Page] = NO_PAGES) -> int:
    """Runs `python -m <package>.show` beside the workers of the package's services; gives the exit code.

    Each service has `worker.py` (its `app`) and `prepare_database.py`, and where it is among the `pages`, `web.py`,
    which listens on the port that the page's variable holds. The databases lie in a folder that goes away with the
    system, unless `<SERVICE>_DATABASE_URL` says otherwise. The broker is `CELERY_BROKER`, or a Redis started for the
    occasion. What is shown goes to the standard output, and what the stack has to say to the standard error.
    """
    console = Console(sys.stderr)
    state = Path(tempfile.mkdtemp(prefix="sagas-"))
    try:
        plan = plan_of([f"{package}.{name}" for name in services], CHECKOUT, state, os.environ)
        with running(with_pages(plan, package, pages), console, show_output=False) as supervisor:
            supervisor.run_in_front("show", in_this_interpreter(["python", "-m", f"{package}.show"]), SHOW_SECONDS)
        return 0
    except StackError as error:
        console.complain(str(error))
    except StopRequested:
        console.say("stopped before the end")
    finally:
        shutil.rmtree(state)
    return 1


def with_pages(plan: Plan, package: str, pages: Mapping[str, Page]) -> Plan:
    commands = {f"{name} page": in_this_interpreter(["python", "-m", f"{package}.{name}.web"]) for name in pages}
    return replace(
        plan,
        environment={**plan.environment, **{page.variable: str(page.port) for page in pages.values()}},
        commands={**plan.commands, **commands},
        pages={f"{name} page": page for name, page in pages.items()},
    )
