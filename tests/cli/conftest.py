"""An application in a folder of its own, and the command line run inside it."""

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner, Result

from sagas_framework.cli.main import commands

APPLICATION = """
from dataclasses import dataclass
from pathlib import Path

from sagas_framework import PIVOT, AsyncStep, Saga, WaitForSignal, create_orchestrator, create_participant
from tests.support.sagas import CREATE, OrderData, OrderSaga, QuietSaga, ask

@dataclass
class Verdict:
    good: bool

def cook(order, ticket, step):
    if not Path("gas").exists():
        raise RuntimeError("still no gas")

class KitchenSaga(Saga[OrderData]):
    response_queue = "order_replies"
    steps = (AsyncStep("create", CREATE, action=ask, on_success=cook, kind=PIVOT),)

class TastingSaga(Saga[OrderData]):
    response_queue = "order_replies"
    steps = (WaitForSignal("tasted", payload=Verdict), AsyncStep("create", CREATE, action=ask))

orchestrator = create_orchestrator(
    "shop",
    broker="memory://",
    database_url="sqlite:///shop.sqlite3",
    sagas=[OrderSaga, QuietSaga, KitchenSaga, TastingSaga],
)
participant = create_participant("kitchen", broker="memory://", database_url="sqlite:///kitchen.sqlite3", queue="k")
forgetful = create_participant("bar", broker="memory://", database_url=None, queue="b")
app = orchestrator.app
"""
MODULE = "shop_for_the_command_line"

Run = Callable[..., Result]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder of the command line; its application is found through pyproject.toml."""
    (tmp_path / f"{MODULE}.py").write_text(APPLICATION)
    (tmp_path / "pyproject.toml").write_text(f'[tool.sagas]\napp = "{MODULE}"\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SAGAS_APP", raising=False)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    return tmp_path


@pytest.fixture
def run(folder: Path) -> Iterator[Run]:
    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(commands, arguments, prog_name="sagas")

    yield invoke
    module = sys.modules.pop(MODULE, None)
    if module is not None:
        module.orchestrator.engine.dispose()
        module.participant.engine.dispose()


@pytest.fixture
def shop(run: Run) -> ModuleType:
    """The application, with its tables in place."""
    assert run("db", "upgrade").exit_code == 0
    return importlib.import_module(MODULE)
