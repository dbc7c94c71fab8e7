"""python -m local_stack [smoke]"""

import os
import sys
from importlib.util import find_spec
from io import TextIOWrapper

from local_stack.messages import Console, StackError, StopRequested
from local_stack.plan import CHECKOUT, Plan, make_plan
from local_stack.processes import Supervisor
from local_stack.stack import running

USAGE = """\
usage: python -m local_stack          start everything and serve until Ctrl-C
       python -m local_stack smoke    start everything, run the five sagas, check how they ended, stop\
"""
OLDEST_PYTHON = (3, 11)
FOR_EVER_SECONDS = float("inf")


def main(arguments: list[str]) -> int:
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that knows no ✔ shows a ?, and the stack goes on
    console = Console(sys.stdout)
    if arguments not in ([], ["smoke"]):
        print(USAGE, file=sys.stderr)
        return 2
    try:
        require_what_we_stand_on()
        return run_smoke(console) if arguments else serve(console)
    except StackError as error:
        console.complain(str(error))
        return 1
    except KeyboardInterrupt:  # Ctrl-C before there was anything to stop
        return 1


def require_what_we_stand_on() -> None:
    if sys.version_info < OLDEST_PYTHON:
        raise StackError("Python 3.11 or later is needed: make PYTHON=python3.11 demo")
    if os.name != "posix":
        raise StackError("the local stack needs Linux or macOS; on Windows use WSL or docker compose")
    if find_spec("celery") is None:
        raise StackError("this Python has not what the services need: use make demo, which sets it up in .venv")


def serve(console: Console) -> int:
    plan = make_plan(CHECKOUT, CHECKOUT / ".local", os.environ)
    try:
        with running(plan, console, show_output=True) as supervisor:
            announce(plan, console)
            serve_until_stopped(supervisor)
    except StopRequested:
        console.say("stopped")
    return 0


def serve_until_stopped(supervisor: Supervisor) -> None:
    supervisor.wait_until(lambda: False, FOR_EVER_SECONDS, "Ctrl-C")


def announce(plan: Plan, console: Console) -> None:
    console.say("")
    console.say(f"    the page   {plan.page.url}")
    console.say(f"    contracts  {', '.join(page.url for page in plan.docs)}")
    console.say(f"    sagas      {os.path.join(os.path.dirname(sys.executable), 'sagas')} list")
    console.say(f"    the state  {plan.state}")
    console.say("")
    console.say("Ctrl-C stops everything")


def run_smoke(console: Console) -> int:
    from local_stack.smoke import smoke

    try:
        return 0 if smoke(CHECKOUT, os.environ, console) else 1
    except StopRequested:
        console.complain("stopped before the end")
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
