"""The documents of all services, ours and the examples': judged by the official parser, and by others who can."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from operator import attrgetter
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from click.testing import CliRunner

from local_stack.plan import CHECKOUT, SERVICES
from sagas_framework import Broker
from sagas_framework.asyncapi.document import Document, to_yaml
from sagas_framework.asyncapi.source import specification_of
from sagas_framework.asyncapi.validation import problems
from sagas_framework.cli.main import commands as command_line
from sagas_framework.events.subscriber import Subscriber
from sagas_framework.orchestrator.orchestrator import Orchestrator
from sagas_framework.participant.participant import Participant
from sagas_framework.vocabulary import codec
from sagas_framework.vocabulary.command import AnyCommand
from tests.support import npm

PARSER = "@asyncapi/parser"
LET_THROUGH = {"asyncapi-latest-version"}  # that there is a 3.1, too: asyncapi-python knows 3.0
INFORMATION = 2  # the severity of a diagnostic; less is worse

EXAMPLES = [
    ".".join(path.parent.relative_to(CHECKOUT).parts)
    for path in sorted((CHECKOUT / "examples").rglob("asyncapi_specification.py"))
]
SOURCES = [*SERVICES, *EXAMPLES]
BROKERS = (
    "amqp://som3body:s3cret@host/team%2Forders;amqp://som3body:s3cret@[::1]:5673/v",
    "redis://:s3cret@host:6379/2",
    "redis+socket:///run/redis.sock",
)


@cache
def documents() -> Mapping[str, Document]:
    """Each service's, with the brokers in turn: nothing but the servers depends on them (tests/unit/asyncapi)."""
    return {
        source: specification_of(source).document(Broker(BROKERS[number % len(BROKERS)]))
        for number, source in enumerate(SOURCES)
    }


@pytest.fixture(params=SOURCES)
def source(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def test_every_service_has_a_document() -> None:
    workers = [path.parent for path in CHECKOUT.glob("examples/*/*/worker.py")]
    assert len(workers) == len(EXAMPLES) == 16


# ---- whoever can judge ---------------------------------------------------------------------------------------------


def test_the_official_parser_has_nothing_to_say() -> None:
    broken = documents()["restaurant_service"] | {"channels": {}}
    found = npm.answer_of("diagnostics.js", {**documents(), "broken": broken}, needs=PARSER)
    assert any(each["severity"] < INFORMATION for each in found.pop("broken"))
    assert set(found) == set(SOURCES)
    said = [(name, each) for name in found for each in found[name] if each["code"] not in LET_THROUGH]
    assert said == []


def test_a_document_is_of_the_json_schema_of_asyncapi(source: str) -> None:
    schema = json.loads(npm.module("@asyncapi/specs").joinpath("schemas/3.0.0.json").read_text())
    jsonschema.Draft7Validator(schema).validate(documents()[source])


def test_our_own_validation_and_asyncapi_pythons_rules_have_nothing_to_say(source: str) -> None:
    assert problems(documents()[source]) == []


def test_no_document_tells_a_user_or_a_password(source: str) -> None:
    text = to_yaml(documents()[source])
    assert "s3cret" not in text
    assert "som3body" not in text


# ---- examples ------------------------------------------------------------------------------------------------------


def commands_of(application: Orchestrator | Participant | Subscriber) -> list[AnyCommand]:
    if isinstance(application, Participant):
        return [taken.command for taken in application.takes() if taken.command is not None]
    if isinstance(application, Subscriber):
        return sorted({one for consumer in application.consumers for one in consumer.commands}, key=attrgetter("name"))
    nodes = [node for definition in application.definitions.values() for node in definition.nodes.values()]
    found = {command for node in nodes if not node.is_child for command in (node.command, node.undo_command) if command}
    return sorted(found, key=attrgetter("name"))


def operations_on_events(application: Orchestrator | Participant | Subscriber) -> set[str]:
    sent, handled = (
        application.publishes.values(),
        {} if isinstance(application, Participant) else application.subscribes,
    )
    names = {f"{event.name}.to.{queue}" for event in sent for queue in event.subscribers or ["nobody"]}
    names |= {f"sagas.receipts.at.{event.source}.receipts" for event in sent}
    for event in handled.values():
        assert not isinstance(application, Participant) and application.subscription is not None
        names |= {f"{event.name}.at.{application.subscription.queue}", f"sagas.receipts.to.{event.source}.receipts"}
    return names


def example_of(document: Document, message: str) -> Any:
    [example] = document["components"]["messages"][message]["examples"]
    return example["payload"][0][1]


def test_examples_are_of_their_schemas_and_are_read_by_the_very_classes(source: str) -> None:
    document, application = documents()[source], specification_of(source).application
    commands, on_events = commands_of(application), operations_on_events(application)
    assert set(document["operations"]) == {command.name for command in commands} | on_events
    for name, message in document["components"]["messages"].items():
        [example] = message["examples"]
        for part in ("headers", "payload"):
            schema = {"allOf": [message[part]], "components": document["components"]}
            checker = jsonschema.FormatChecker()
            errors = jsonschema.Draft7Validator(schema, format_checker=checker).iter_errors(example[part])
            assert [error.message for error in errors] == [], name
    for event in [*application.publishes.values(), *getattr(application, "subscribes", {}).values()]:
        shown = example_of(document, event.name)
        assert event.encode(event.decode(shown)) == shown
    for command in commands:
        shown = example_of(document, command.name)
        assert command.encode_payload(command.decode_payload(shown)) == shown
        if command.response is not None and "reply" in document["operations"][command.name]:
            answered = example_of(document, f"{command.name}.response.success")
            codec.decode(command.response, answered, command.name)


# ---- what is printed and kept ----------------------------------------------------------------------------------------

PRINT_ALL = """
import runpy, sys
for source in sys.argv[1:]:
    print("---")
    runpy.run_module(f"{source}.asyncapi_specification", run_name="__main__")
"""


def test_each_module_prints_what_the_command_line_shows_in_every_process_the_same() -> None:
    """In another process, where sets have another order."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(CHECKOUT), str(CHECKOUT / "app_common")]),
        "PYTHONHASHSEED": "1",
    }
    command = [sys.executable, "-c", PRINT_ALL, *SOURCES]
    printed = subprocess.run(command, cwd=CHECKOUT, env=environment, check=True, capture_output=True, text=True).stdout
    shown = [
        CliRunner().invoke(command_line, ["asyncapi", "show", source], prog_name="sagas").stdout for source in SOURCES
    ]
    assert printed == "".join(f"---\n{text}" for text in shown)


def test_what_is_written_is_read_as_it_was(source: str) -> None:
    assert yaml.safe_load(to_yaml(documents()[source])) == documents()[source]


def test_the_kept_documents_say_what_the_code_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CHECKOUT)
    kept = Path("docs/asyncapi")
    fine = CliRunner().invoke(command_line, ["asyncapi", "keep", str(kept), "--check"], prog_name="sagas")
    assert (fine.exit_code, fine.stdout) == (0, f"4 documents in {kept} say what the code says\n")


def test_a_message_that_has_changed_is_told_with_the_commands_that_show_and_renew_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(CHECKOUT)
    kept = tmp_path / "kept"
    assert CliRunner().invoke(command_line, ["asyncapi", "keep", str(kept)], prog_name="sagas").exit_code == 0
    outdated = kept / "restaurant_service.yaml"
    outdated.write_text(outdated.read_text().replace("quantity", "amount"))
    told = CliRunner().invoke(command_line, ["asyncapi", "keep", str(kept), "--check"], prog_name="sagas")
    assert told.exit_code == 1
    assert f"{outdated} is not what the code says: sagas asyncapi diff {outdated} restaurant_service\n" in told.stderr
    assert told.stderr.count("is not what the code says") == 1
    assert f"`sagas asyncapi keep {kept}`" in told.stderr
    assert "amount" in outdated.read_text()


def test_a_kept_document_that_is_missing_or_of_no_service_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(CHECKOUT)
    kept = tmp_path / "kept"
    shutil.copytree("docs/asyncapi", kept)
    (kept / "closed_service.yaml").touch()
    check = ["asyncapi", "keep", str(kept), "--check"]
    told = CliRunner().invoke(command_line, check, prog_name="sagas")
    assert told.exit_code == 1
    assert f"{kept / 'closed_service.yaml'} belongs to no service of [tool.sagas] asyncapi: remove it" in told.stderr
    (kept / "order_service.yaml").unlink()
    told = CliRunner().invoke(command_line, check, prog_name="sagas")
    assert told.exit_code == 1
    assert f"{kept / 'order_service.yaml'} is missing\n" in told.stderr
    assert "asyncapi diff" not in told.stderr
