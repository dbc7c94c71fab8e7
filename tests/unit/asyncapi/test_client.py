"""A typed client that asyncapi-python generates from a service's document."""

import copy
import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from asyncapi_python.contrib.wire.in_memory import InMemoryWire
from asyncapi_python_codegen.generators.templates import TemplateRenderer
from click.testing import CliRunner
from pydantic import ValidationError

from sagas_framework.asyncapi.client import generate_client
from sagas_framework.asyncapi.client_document import mirrored
from sagas_framework.asyncapi.source import load
from sagas_framework.cli.main import commands
from sagas_framework.errors import ConfigurationError
from tests.support.documents import document, publishes, receives, subscribes

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


def test_of_events_a_client_has_those_that_are_sent_somewhere() -> None:
    users = document("Users", publishes("users.left", None), publishes("users.moved", "books"), subscribes("paid", "u"))
    for channel in users["channels"].values():
        payload = {"type": "array", "items": [{"type": "array", "items": [{"type": "string"}, {"type": "object"}]}]}
        for name in channel["messages"]:
            users["components"]["messages"][name]["payload"] = payload
    actions = [operation["action"] for operation in mirrored(users)["operations"].values()]
    assert actions == ["receive", "send"]


# ---- documents that somebody else has written: their texts must not become code -----------------------------------

BREAKS_OUT = 'x"""\n    raise SystemExit("the document runs")\n    """'
INNOCENT = 'It says """quoted""" and C:\\new\\x, and it\'s 5" wide.'
PROSE = ("title", "summary", "description", "pattern", "name", "x-python-import", "customTypePath", "examples")


def told_everywhere(node: Any, text: str) -> Any:
    """The text wherever prose may stand: in each object of the document that is no table of names."""
    if isinstance(node, list):
        return [told_everywhere(each, text) for each in node]
    if not isinstance(node, dict):
        return node
    told = {key: told_everywhere(value, text) for key, value in node.items()}
    is_one_thing = any(
        isinstance(node.get(key), str) for key in ("type", "contentType", "address", "action", "version")
    )
    return told | dict.fromkeys(PROSE, text) if is_one_thing else told


@pytest.mark.parametrize("text", [BREAKS_OUT, INNOCENT])
def test_no_prose_of_a_document_gets_into_its_client(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setattr(TemplateRenderer, "run_mypy", lambda *_: None)
    published = told_everywhere(load(SERVICE), text)
    assert (published["info"]["description"], published["components"]["schemas"]["OrderItem"]["title"]) == (text, text)
    generate_client(published, tmp_path / "client")
    code = {path: path.read_text() for path in (tmp_path / "client").rglob("*.py")}
    for path, lines in code.items():
        compile(lines, path, "exec")
        assert "raise SystemExit" not in lines
        assert "quoted" not in lines
    assert "class CreateTicketPayload" in code[tmp_path / "client" / "messages" / "json" / "__init__.py"]


QUOTE = "a\"'"
COMMAND = "restaurant_service.create_ticket"


@pytest.mark.parametrize(
    ("place", "found", "said"),
    [
        (("info", "version"), QUOTE, "the version is"),
        (("channels", COMMAND, "address"), QUOTE, f"the address of channel {COMMAND} is"),
        (("channels", COMMAND, "address"), "a.{eval}", f"the address of channel {COMMAND} is 'a.{{eval}}'"),
        (("channels", COMMAND, "bindings", "amqp", "queue", "name"), QUOTE, "the bindings of channel"),
        (("channels", QUOTE), {}, "the name of one of the channels is"),
        (("channels", COMMAND, "messages", QUOTE), {}, "the name of one of the messages is"),
        (("operations", "a = b"), {}, "the name of one of the operations is 'a = b'"),
        (("operations", COMMAND, "channel", "$ref"), "file:///etc/passwd", "a reference of operation"),
        (("operations", COMMAND, "reply", "address", "location"), QUOTE, "the location of replies of"),
        (("components", "messages", "é"), {}, "the name of one of the messages is 'é'"),
        (("components", "messages", COMMAND, "contentType"), QUOTE, "the content type of"),
        (("components", "schemas", ""), {}, "the name of one of the schemas is ''"),
        (("components", "schemas", "A", "properties"), {QUOTE: {}}, "a name in schema A.properties is"),
        (("components", "schemas", "A", "required"), [QUOTE], "schema A.required is"),
        (("components", "schemas", "A", "enum"), ["fine", QUOTE], "schema A.enum is"),
        (("components", "schemas", "A", "const"), "a\nb", r"schema A.const is 'a\nb'"),
        (("components", "schemas", "A", "default"), {"a": ["\\"]}, "schema A.default is"),
        (("components", "schemas", "A", "default"), {QUOTE: 1}, "schema A.default is"),
        (("components", "schemas", "A", "format"), QUOTE, "schema A.format is"),
        (("components", "schemas", "A", "type"), [QUOTE], "schema A.type is"),
        (("components", "schemas", "A", "maxLength"), "3)", "schema A.maxLength is '3)'"),
        (("components", "schemas", "A", "maximum"), float("inf"), "schema A.maximum is inf"),
        (("components", "schemas", "A", "anyOf"), [{"items": [{"const": QUOTE}]}], "schema A.anyOf.items.const is"),
    ],
)
def test_a_name_or_value_that_could_become_code_is_refused(place: tuple[str, ...], found: Any, said: str) -> None:
    published = copy.deepcopy(load(SERVICE))
    node = published
    for step in place[:-1]:
        node = node.setdefault(step, {})
    node[place[-1]] = found
    with pytest.raises(ConfigurationError) as refused:
        mirrored(published)
    assert said in str(refused.value)
    assert str(refused.value).startswith("no client can be made safely: ")
    assert "\n" not in str(refused.value)


def test_what_is_no_python_stays_out_of_the_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TemplateRenderer, "run_mypy", lambda *_: None)
    published = copy.deepcopy(load(SERVICE))
    published["operations"]["class"] = published["operations"].pop(COMMAND)
    with pytest.raises(ConfigurationError, match=r"could not make a client: invalid syntax \(router.py"):
        generate_client(published, tmp_path / "client")
    assert not (tmp_path / "client").exists()


def test_a_document_that_is_nested_too_deeply_is_told_in_one_line(tmp_path: Path) -> None:
    published = copy.deepcopy(load(SERVICE))
    schema: dict[str, Any] = {}
    published["components"]["schemas"]["Deep"] = schema
    for _ in range(5_000):
        schema["items"] = schema = {}
    with pytest.raises(ConfigurationError, match="nested too deeply: no client can be made of it"):
        generate_client(published, tmp_path / "client")


# ---- what no client can be made of -----------------------------------------------------------------------------------


def test_a_directory_that_is_there_is_left_alone(tmp_path: Path) -> None:
    code, told = run(SERVICE, str(tmp_path))
    assert (code, list(tmp_path.iterdir())) == (1, [])
    assert told == f"sagas: {tmp_path} is there already; name a directory that is to be made\n"


HEAD = "{asyncapi: 3.0.0, info: {title: A, version: '1'}, channels: {}, "


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("asyncapi: 3.0.0", "from the document of a service of this framework only"),
        (HEAD + "operations: [], components: {messages: {}}}", "of another form (AttributeError"),
        (HEAD + "operations: {a: {action: eat}}, components: {messages: {}}}", "of another form (KeyError"),
        (
            HEAD + "operations: {}, components: {messages: {a: {payload: {type: object}}}}}",
            "of another form (KeyError: 'items')",
        ),
        (
            HEAD + "operations: {a: {action: send, channel: {$ref: '#/channels/b'}}}, components: {messages: {}}}",
            "asyncapi-python could not make a client: Failed to extract operation 'a'",
        ),
        (HEAD + "operations: {}, components: {messages: {}}}", "operations"),
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
