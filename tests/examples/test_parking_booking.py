"""The parking slot that only one can have: what the README shows, word for word, but for uuids and ports."""

import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from local_stack.health import free_port
from local_stack.plan import CHECKOUT
from tests.support.examples import as_arguments, as_printed, own_surroundings, run_example

pytestmark = [pytest.mark.slow, pytest.mark.redis]

README = (CHECKOUT / "examples" / "parking_booking" / "README.md").read_text()
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
PORTS = {"PARKING_SERVICE_PORT": 8000, "BOOKING_SERVICE_PORT": 8001, "BILLING_SERVICE_PORT": 8002}


def free_ports() -> dict[str, str]:
    return {variable: str(free_port("127.0.0.1")) for variable in PORTS}


def replaced(text: str, now: dict[str, str]) -> str:
    return UUID.sub(lambda found: now.get(found[0], found[0]), text)


def uuids_now(printed: str, output: str) -> dict[str, str]:
    """Which uuid stands now where the README has another."""
    return dict(zip(UUID.findall(printed), UUID.findall(output), strict=False))


def test_the_one_command_prints_what_the_readme_says() -> None:
    printed, ports = as_printed("parking_booking")[1], free_ports()
    for variable, port in PORTS.items():
        printed = printed.replace(f":{port}/", f":{ports[variable]}/")

    output = run_example("parking_booking", ports)

    assert output == replaced(printed, uuids_now(printed, output))


@contextmanager
def kept_running() -> Iterator[dict[str, str]]:
    """The environment in which a reader types, once he has pasted what `--keep-running` prints."""
    command = re.search(r"^.*--keep-running$", README, re.MULTILINE)
    assert command is not None
    with own_surroundings() as (environment, directory):
        environment |= free_ports()
        with subprocess.Popen(
            as_arguments(command[0]), cwd=CHECKOUT, env=environment, stdout=subprocess.PIPE, text=True
        ) as stack:
            try:
                yield environment | dict(pasted(stack, of=["CELERY_BROKER", *databases()]))
            finally:
                stack.send_signal(signal.SIGINT)  # as Ctrl-C does
        assert stack.returncode == 0
        assert list(directory.iterdir()) == []


def databases() -> list[str]:
    return [f"{service}_SERVICE_DATABASE_URL" for service in ("PARKING", "BOOKING", "BILLING")]


def pasted(stack: subprocess.Popen[str], of: list[str]) -> Iterator[tuple[str, str]]:
    assert stack.stdout is not None
    for name in of:
        line = stack.stdout.readline()
        export = re.fullmatch(rf"export {name}=(\S+)\n", line)
        assert export is not None, line
        yield name, export[1]


def test_the_command_lines_print_what_the_readme_says() -> None:
    session = re.search(r"^```console\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    assert session is not None
    typed = re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", session[1], re.MULTILINE)
    assert len(typed) == session[1].count("$ ") == 8

    now: dict[str, str] = {}
    with kept_running() as environment:
        for command, printed in typed:
            ended = subprocess.run(
                as_arguments(replaced(command, now)),
                cwd=CHECKOUT,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
            now |= uuids_now(printed, ended.stdout)
            assert ended.stdout == replaced(printed, now)
            assert ended.returncode == 0
