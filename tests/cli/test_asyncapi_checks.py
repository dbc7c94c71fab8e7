"""`sagas asyncapi validate` and `diff` as they are typed: what they print, and how they exit."""

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from local_stack.plan import CHECKOUT
from sagas_framework.asyncapi import Specification
from sagas_framework.cli.main import commands

KEPT = CHECKOUT / "docs" / "asyncapi" / "restaurant_service.yaml"


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(commands, ["asyncapi", *map(str, arguments)], prog_name="sagas")


@pytest.fixture
def changed(tmp_path: Path) -> Path:
    """The restaurant's document with a field more."""
    document = yaml.safe_load(KEPT.read_text())
    schema = document["components"]["schemas"]["CreateTicketPayload"]
    schema["properties"]["table"] = {"type": "integer"}
    schema["required"] = [*schema["required"], "table"]
    path = tmp_path / "restaurant.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


def test_a_breakage_exits_with_1_and_what_only_adds_with_0(changed: Path) -> None:
    broken = run("diff", KEPT, changed)
    assert broken.exit_code == 1
    assert "breakage  restaurant_service.create_ticket payload.table: is a new required field" in broken.stdout
    assert "add it with a default" in broken.stdout
    assert broken.stdout.splitlines()[-2:] == [
        "1 breakage, 0 additions, 0 notes",
        "a breakage wants version 2.0.0; it still says 1.0.0",
    ]
    changed.write_text(changed.read_text().replace("      - table\n", ""))
    added = run("diff", KEPT, changed)
    assert added.exit_code == 0, added.output
    assert added.stdout.splitlines()[-2] == "0 breakages, 1 addition, 0 notes"


def test_differences_are_a_list_of_objects_for_ci(changed: Path) -> None:
    broken = run("diff", KEPT, changed, "--format", "json")
    assert broken.exit_code == 1
    (found,) = json.loads(broken.stdout)
    assert list(found) == ["kind", "where", "what", "why", "instead"]
    assert (found["kind"], found["what"]) == ("breakage", "is a new required field")
    same = run("diff", KEPT, KEPT, "--format", "json")
    assert (same.exit_code, json.loads(same.stdout)) == (0, [])


def test_a_document_compared_with_itself_has_no_difference() -> None:
    result = run("diff", KEPT, KEPT)
    assert (result.exit_code, result.stdout) == (0, "no difference\n")


def test_an_example_that_lies_is_an_error(changed: Path) -> None:
    fine = run("validate", KEPT)
    assert (fine.exit_code, fine.stdout) == (0, f"{KEPT}: fine\n")
    result = run("validate", KEPT, changed)
    assert result.exit_code == 1
    first, second, problem = result.stdout.splitlines()
    assert (first, second) == (f"{KEPT}: fine", f"{changed}: 1 problem")
    assert "restaurant_service.create_ticket example 1 payload[0][1]: 'table' is a required property" in problem
    assert problem.endswith("(jsonschema)")


def test_a_warning_is_told_and_is_no_failure(tmp_path: Path) -> None:
    document = yaml.safe_load(KEPT.read_text())
    document["channels"]["restaurant_service.create_ticket"]["address"] = "restaurant_service.create_ticket"
    path = tmp_path / "restaurant.yaml"
    path.write_text(yaml.safe_dump(document))
    result = run("validate", path)
    assert result.exit_code == 0
    assert "  warning " in result.stdout


def test_a_document_that_cannot_be_compared_says_how_to_find_out_where(changed: Path) -> None:
    changed.write_text(changed.read_text().replace("schemas/SagaId", "schemas/Nothing"))
    result = run("diff", KEPT, changed)
    assert result.exit_code == 2
    assert "leads nowhere" in result.stderr
    assert result.stderr.endswith(f"`sagas asyncapi validate {KEPT} {changed}` says where\n")
    assert "#/components/messages/" in run("validate", changed).stdout


def test_signs_that_a_terminal_obeys_are_not_printed(changed: Path, tmp_path: Path) -> None:
    document = yaml.safe_load(changed.read_text())
    document["components"]["schemas"]["CreateTicketPayload"]["properties"]["\x1b[31mred"] = {"type": "string"}
    changed.write_text(yaml.safe_dump(document))
    for result in (run("diff", KEPT, changed), run("validate", changed)):
        assert "\x1b" not in result.output


@pytest.mark.parametrize("arguments", [("diff",), ("diff", "only_one.yaml"), ("validate",), ("diff", "a", "b", "c")])
def test_a_wrong_command_line_exits_with_2(arguments: tuple[str, ...]) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("command", ["diff", "validate"])
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read: No such file"),
        (b"\xff\xfe", "is no YAML"),
        (b"{", "is no YAML"),
        (b"- a list", "is no document of AsyncAPI 3"),
        (b"asyncapi: 2.6.0", "is no document of AsyncAPI 3"),
        (b"asyncapi: 3.0.0\na: &a [x]\nb: [*a, *a]", "it uses aliases"),
    ],
)
def test_what_is_no_document_is_one_clear_line(tmp_path: Path, command: str, content: bytes | None, said: str) -> None:
    path = tmp_path / "document.yaml"
    if content is not None:
        path.write_bytes(content)
    result = run(command, *([path, KEPT] if command == "diff" else [path]))
    assert result.exit_code == (2 if command == "diff" else 1)
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert str(path) in result.stderr
    assert said in result.stderr


def test_the_words_of_a_document_cannot_look_like_lines_of_the_commands(tmp_path: Path) -> None:
    document = yaml.safe_load(KEPT.read_text())
    name = "a\x1b[2J\nrestaurant.yaml: fine"
    document["components"]["schemas"]["CreateTicketPayload"]["properties"][name] = {"type": "string"}
    document["components"]["schemas"]["CreateTicketPayload"]["required"].append(name)
    document["channels"][name] = {"address": name, "messages": {}}  # asyncapi-python warns of that
    (tmp_path / "odd.yaml").write_text(yaml.safe_dump(document))
    for told in (run("validate", tmp_path / "odd.yaml"), run("diff", KEPT, tmp_path / "odd.yaml")):
        assert "a[2J restaurant.yaml: fine" in told.output
        assert "\x1b" not in told.output
        assert "restaurant.yaml: fine" not in "\n".join(line[:20] for line in told.output.splitlines())


@pytest.mark.parametrize("named", ["restaurant_service.worker", "restaurant_service.worker:participant"])
def test_without_a_source_show_prints_the_document_of_the_applications_package(named: str) -> None:
    assert run("show", "--app", named).output == run("show", "restaurant_service").output


@pytest.mark.parametrize(
    ("named", "package"),
    [("top.mid.svc.worker", "top.mid.svc"), ("shop:participant", "shop"), ("shop", "shop"), ("a.b:c.d", "a")],
)
def test_an_application_is_in_the_package_of_its_module(
    named: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def load(source: str, _: object) -> dict[str, str]:
        asked.append(source)
        return {}

    monkeypatch.setattr("sagas_framework.asyncapi.source.load", load)
    assert run("show", "--app", named).exit_code == 0
    assert asked == [package]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be imported: ModuleNotFoundError"),
        ("1 / 0", "cannot be imported: ZeroDivisionError"),
        ("raise SystemExit('BROKER is missing')", "BROKER is missing"),
        ("specification = 7", "make one"),
    ],
)
def test_a_service_that_cannot_be_asked_is_no_breakage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None, said: str
) -> None:
    name = f"compared_{tmp_path.name}"
    if content is not None:
        (tmp_path / name).mkdir()
        (tmp_path / name / "asyncapi_specification.py").write_text(content)
    monkeypatch.syspath_prepend(tmp_path)
    result = run("diff", KEPT, name)
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1
    assert said in result.stderr


def test_a_document_that_its_service_fails_to_make_is_no_breakage(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Specification) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(Specification, "document", fail)
    result = run("diff", KEPT, "restaurant_service")
    assert (result.exit_code, result.stderr) == (2, "sagas: ZeroDivisionError: division by zero\n")


def test_the_help_says_what_is_checked_and_what_exit_codes_mean() -> None:
    checked = run("validate", "--help").stdout
    assert all(f"\n    {part}" in checked for part in ("keys and types", "references", "schemas", "examples"))
    assert all(f"\n    {code}   " in run("diff", "--help").stdout for code in range(3))
