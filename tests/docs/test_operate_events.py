"""The commands of operate-events.md are run as they are printed, on events that are stuck as it says."""

import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import Engine

from local_stack.plan import CHECKOUT
from sagas_framework import Failure
from sagas_framework.cli.main import commands
from tests.support import databases
from tests.support.stuck_events import Bank, Crm, Opened

TEXT = (CHECKOUT / "docs" / "howto" / "operate-events.md").read_text()
BLOCKS = re.findall(r"```\n(.*?)```", TEXT, re.DOTALL)
COMMANDS = [line for block in BLOCKS for line in block.splitlines() if line.startswith("sagas ")]

CRM = """
import sys

from sagas_framework import create_subscriber, handles
from tests.support.stuck_events import QUEUE, Opened

@handles(Opened)
def welcome(event, context): ...

subscriber = create_subscriber(
    "crm", broker="memory://", database_url="sqlite:///crm.sqlite3", queue=QUEUE, handlers=[sys.modules[__name__]]
)
"""
BANK = """
from sagas_framework import create_participant
from tests.support.stuck_events import Opened

participant = create_participant(
    "bank", broker="memory://", database_url="sqlite:///bank.sqlite3", queue="bank.commands", publishes=[Opened]
)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, with the two applications in it."""
    (tmp_path / "crm.py").write_text(CRM)
    (tmp_path / "bank.py").write_text(BANK)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    yield tmp_path
    for name, attribute in (("crm", "subscriber"), ("bank", "participant")):
        if name in sys.modules:
            getattr(sys.modules.pop(name), attribute).engine.dispose()


@pytest.fixture
def stuck(folder: Path) -> Iterator[Engine]:
    """The database of the subscriber."""
    with databases.opened("sqlite:///bank.sqlite3") as banks, databases.opened("sqlite:///crm.sqlite3") as crms:
        bank, crm = Bank(banks), Crm(crms, unlucky={2})
        first, *others = bank.publish(*(Opened("a1", n) for n in (1, 2, 3)))
        crm.park([first, *others])
        test_account = bank.publish(Opened("a2", 2))
        crm.park(test_account)
        _, after_the_lost_one = lost = bank.publish(Opened("a3", 1), Opened("a3", 3))
        crm.take([after_the_lost_one])
        bank.take_receipt(*others, *test_account, *lost)
        command = bank.command("01920000-0000-7000-8000-000000000001")
        bank.take_failure(command, Failure("Refusal", "the customer is blocked"))
        with banks.begin() as connection:  # the numbers that the text shows
            connection.exec_driver_sql("UPDATE saga_outbox SET id = 2 WHERE problem IS NOT NULL")
        yield crms


def test_every_command_of_operating_events_does_what_it_says(stuck: Engine) -> None:
    assert len(COMMANDS) > 10
    for line in COMMANDS:
        result = CliRunner().invoke(commands, shlex.split(line)[1:], prog_name="sagas")
        assert result.exit_code == (1 if "doctor" in line else 0), (line, result.output)


def test_the_list_is_as_it_is_printed_there(stuck: Engine) -> None:
    (printed,) = (block for block in BLOCKS if block.startswith("NUMBER"))
    result = CliRunner().invoke(commands, ["events", "list", "--app", "crm"], prog_name="sagas")
    assert without_ages(printed) == without_ages(result.stdout)


def without_ages(table: str) -> list[str]:
    lines = (re.sub(r"[\d.]+ \w+( \d+ \w+)? ago", "", line) for line in table.splitlines())
    return [" ".join(line.split()) for line in lines]
