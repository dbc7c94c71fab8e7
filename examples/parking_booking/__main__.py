"""python -m examples.parking_booking [--keep-running]"""

import sys

import click

from examples.parking_booking.health import DEFAULT_PORTS, HOST, port_of, port_variable
from local_stack.example import run_example
from local_stack.plan import Page


@click.command()
@click.option("--keep-running", is_flag=True, help="Show nothing; serve until Ctrl-C, for your own command lines.")
def main(keep_running: bool) -> None:
    """Three services and the booking of a parking slot: starts them, shows what they do, leaves nothing behind."""
    pages = {name: Page(HOST, port_of(name), port_variable(name), "/health") for name in DEFAULT_PORTS}
    sys.exit(run_example("examples.parking_booking", list(DEFAULT_PORTS), pages, keep_running=keep_running))


if __name__ == "__main__":
    main()
