"""A typed client that asyncapi-python generates from a service's document."""

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from asyncapi_python.contrib.wire.in_memory import InMemoryWire
from click.testing import CliRunner
from pydantic import ValidationError

from sagas_framework.asyncapi.client import generate_client
from sagas_framework.asyncapi.source import load
from sagas_framework.cli.main import commands
from sagas_framework.errors import ConfigurationError
from tests.support.documents import document, receives

SERVICE = "restaurant_service"
PACKAGE = "client_of_the_restaurant"


def run(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(commands, ["asyncapi", "client", *arguments], prog_name="sagas")
    return done.exit_code, done.output


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """The package, made by the command and imported."""
    folder = tmp_path_factory.mktemp("generated")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MYPY_CACHE_DIR", str(folder / "cache"))  # asyncapi-python has mypy look at what it made
        assert run(SERVICE, str(folder / PACKAGE)) == (0, f"the client is in {folder / PACKAGE}\n")
        patch.syspath_prepend(folder)
        yield importlib.import_module(PACKAGE)
    for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
        del sys.modules[name]


def test_its_types_are_those_of_the_messages(client: ModuleType) -> None:
    types = importlib.import_module(f"{PACKAGE}.messages.json")
    ordered = types.CreateTicketPayload(order_id=1, customer_id=2, items=[{"name": "Ramen", "quantity": 3}])
    assert ordered.items[0].quantity == 3
    with pytest.raises(ValidationError, match="quantity"):
        types.CreateTicketPayload(order_id=1, customer_id=2, items=[{"name": "Ramen", "quantity": "x"}])
    with pytest.raises(ValidationError, match="order_id"):
        types.CreateTicketPayload(customer_id=2, items=[])
    assert types.CreateTicketResponse(ticket_id=7).ticket_id == 7
    assert types.RejectTicketPayload(ticket_id=None).ticket_id is None


def test_it_has_an_endpoint_for_each_command_that_the_service_receives(client: ModuleType) -> None:
    application: Any = client.Application(InMemoryWire())
    for name in ("create_ticket", "approve_ticket", "reject_ticket"):
        assert callable(getattr(application.producer.restaurant_service, name))
    assert not hasattr(application.consumer, SERVICE)


# ---- what no client can be made of -----------------------------------------------------------------------------------


def test_a_directory_that_is_there_is_left_alone(tmp_path: Path) -> None:
    code, told = run(SERVICE, str(tmp_path))
    assert (code, list(tmp_path.iterdir())) == (1, [])
    assert told == f"sagas: {tmp_path} is there already; name a directory that is to be made\n"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("asyncapi: 3.0.0", "from the document of a service of this framework only"),
        ("{asyncapi: 3.0.0, operations: [], components: {}}", "of another form (AttributeError"),
        ("{asyncapi: 3.0.0, operations: {a: {action: eat}}, components: {messages: {}}}", "of another form (KeyError"),
        (
            "{asyncapi: 3.0.0, operations: {}, components: {messages: {a: {payload: {type: object}}}}}",
            "of another form (KeyError: 'items')",
        ),
        (
            "{asyncapi: 3.0.0, operations: {a: {action: send, channel: {$ref: '#/channels/b'}}}, components: "
            "{messages: {}}}",
            "asyncapi-python could not make a client: Failed to extract operation 'a'",
        ),
        (
            "{asyncapi: 3.0.0, info: {title: A, version: '1'}, channels: {}, operations: {}, components: {messages: "
            "{}}}",
            "operations",
        ),
    ],
)
def test_a_document_that_no_client_can_be_made_of_is_told_in_one_line(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "a.yaml").write_text(content)
    code, told = run(str(tmp_path / "a.yaml"), str(tmp_path / "client"))
    assert code == 1
    assert said in told
    assert told.count("\n") == 1
    assert not (tmp_path / "client").exists()


def test_a_directory_that_cannot_be_made_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MYPY_CACHE_DIR", str(tmp_path / "cache"))
    body = {"type": "array", "items": [{"items": [{"type": "string"}, {"type": "object"}]}]}
    (tmp_path / "a.json").write_text(json.dumps(document("A", receives("a.b", "queue", payload=body, replies={}))))
    (tmp_path / "file").touch()
    code, told = run(str(tmp_path / "a.json"), str(tmp_path / "file" / "client"))
    assert code == 1
    assert f"{tmp_path / 'file' / 'client'} cannot be written" in told


def test_without_the_generator_it_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "asyncapi_python_codegen", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'sagas-framework\[asyncapi-tools\]'"):
        generate_client(load(SERVICE), tmp_path / "client")
