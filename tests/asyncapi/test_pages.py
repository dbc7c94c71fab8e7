"""What the pages of a document show and refuse, whoever wrote the document."""

import base64
import hashlib
import json
import re
import signal
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any
from unittest.mock import Mock
from urllib.parse import unquote
from urllib.request import urlopen

import pytest
import yaml
from click.testing import CliRunner, Result
from flask.testing import FlaskClient

from local_stack.plan import CHECKOUT, SERVICES
from sagas_framework.asyncapi import pages
from sagas_framework.asyncapi.pages import server as pages_server
from sagas_framework.asyncapi.pages import site
from sagas_framework.asyncapi.pages.site import Service, create_site
from sagas_framework.asyncapi.pages.viewer import INTEGRITY, PACKAGE, VERSION, Viewer
from sagas_framework.asyncapi.pages.words import limits_of, words_for
from sagas_framework.asyncapi.references import pointer
from sagas_framework.asyncapi.source import load
from sagas_framework.cli.main import commands
from tests.support.documents import document

PAGES = Path(pages.__file__).parent
KEPT = CHECKOUT / "docs" / "asyncapi"
SCRIPT = "<script>alert(1)</script>"
STRANGE: dict[str, Any] = {
    "empty": {},
    "all of the wrong kind": {key: ["?"] for key in ("info", "servers", "channels", "operations", "components")},
    "entries of the wrong kind": {
        "servers": {"s": 1},
        "channels": {"c": None, "d": {"messages": {"m": 7}, "bindings": "x"}},
        "operations": {"o": [], "p": {"channel": "c", "messages": [1], "reply": 3}},
        "components": {"messages": {"m": {"examples": [1], "headers": 2, "payload": True}}, "schemas": {"s": False}},
    },
    "references to nowhere": {
        "channels": {"c": {"messages": {"m": {"$ref": "#/components/messages/gone"}}}},
        "operations": {"o": {"channel": {"$ref": "other.yaml#/channels/c"}, "reply": {"$ref": "#/x"}}},
    },
    "references in a circle": {
        "channels": {"c": {"$ref": "#/channels/d"}, "d": {"$ref": "#/channels/c"}},
        "components": {"messages": {"m": {"$ref": "#/components/messages/m"}}},
    },
}


class Html(HTMLParser):
    """What a browser would see: tags, anchors, and links within the page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))

    def values(self, name: str) -> list[str]:
        return [str(attributes[name]) for _, attributes in self.tags if name in attributes]


def page_of(document: dict[str, Any], **settings: Any) -> FlaskClient:
    return create_site(Service(document, 8083), **settings).test_client()


def html_of(document: dict[str, Any]) -> str:
    answer = page_of(document).get("/")
    assert answer.status_code == 200
    return answer.text


# ---- the document as text -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("service", SERVICES)
def test_every_link_within_a_services_page_leads_somewhere_and_every_anchor_is_one_place(service: str) -> None:
    html = Html(html_of(load(str(KEPT / f"{service}.yaml"))))
    anchors = html.values("id")
    assert len(anchors) == len(set(anchors))
    inner = {link[1:] for link in html.values("href") if link.startswith("#")}
    assert len(inner) > 10
    assert inner <= set(anchors)


@pytest.mark.parametrize("document", STRANGE.values(), ids=STRANGE)
def test_a_document_that_is_not_as_it_should_be_is_shown_as_far_as_it_goes(document: dict[str, Any]) -> None:
    assert "<h1>" in html_of(document)
    assert page_of(document).get("/map").status_code == page_of(document).get("/map.svg").status_code == 200


def test_nothing_that_a_document_says_becomes_a_tag_or_a_link_to_a_script() -> None:
    evil = f'{SCRIPT}<img src=x onerror="alert(1)">[click](javascript:alert(1)) ![x](https://elsewhere.example/x)'
    entry = {"title": evil, "name": evil, "summary": evil, "description": evil, "address": evil, "contentType": evil}
    schema = {**entry, "type": evil, "enum": [evil], "properties": {evil: {"type": evil, "default": evil}}}
    message = {**entry, "payload": schema, "headers": {"$ref": evil}, "examples": [{"name": evil, "payload": evil}]}
    document = {
        "info": {"title": evil, "version": evil, "description": evil},
        "servers": {evil: {**entry, "host": evil, "protocol": "javascript"}},
        "channels": {evil: {**entry, "messages": {evil: message}, "bindings": {evil: evil}}},
        "operations": {evil: {**entry, "action": evil, "reply": {"address": {"location": evil, **entry}}}},
        "components": {"messages": {evil: message}, "schemas": {evil: schema}},
    }
    html = Html(html_of(document))
    assert [attributes for tag, attributes in html.tags if tag == "script"] == [
        attributes for tag, attributes in Html(html_of({})).tags if tag == "script"
    ]
    assert {attributes["src"] for tag, attributes in html.tags if tag == "img"} == {"/static/icon.svg"}
    assert not any(name.startswith("on") for _, attributes in html.tags for name in attributes)
    assert not any(link.startswith("javascript:") for link in html.values("href"))


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "string", "format": "uuid"}, "string (uuid)"),
        ({"$ref": "#/components/schemas/OrderItem"}, "OrderItem"),
        ({"type": "array", "items": {"$ref": "#/components/schemas/OrderItem"}}, "list of OrderItem"),
        ({"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "null"}]}}, "list of (string or null)"),
        ({"type": "array", "items": [{"type": "string"}, {"type": "object"}]}, "[string, object]"),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, "object of integer"),
        ({"type": ["string", "null"]}, "string or null"),
        ({"enum": ["a", 1, None]}, '"a" or 1 or null'),
        ({"const": "a"}, '"a"'),
        ({"$ref": "#/components/schemas/Gr%C3%B6%C3%9Fe%20%C3%A9"}, "Größe é"),
        ({"$ref": "#/components/schemas/OrderItem/properties/dish"}, "#/components/schemas/OrderItem/properties/dish"),
        ({}, "anything"),
        (False, "nothing"),
    ],
)
def test_a_schema_reads_as_words(schema: object, words: str) -> None:
    assert "".join(word.text for word in words_for(schema)) == words


def test_a_schema_is_linked_whatever_its_name_and_a_part_of_it_is_not() -> None:
    references = [pointer("components", "schemas", "Größe é~/%"), pointer("components", "schemas", "a", "properties")]
    properties = {str(count): {"$ref": reference} for count, reference in enumerate(references)}
    schemas = {"Größe é~/%": {"type": "integer"}, "a": {"properties": properties}}
    html = Html(html_of({"components": {"schemas": schemas}}))
    inner = {link[1:] for link in html.values("href") if link.startswith("#schema-")}
    assert {unquote(link) for link in inner} == {"schema-Größe é~/%", "schema-a"}


def test_the_contents_lead_to_what_is_drawn_too_and_leave_out_what_is_not() -> None:
    drawn, inner = {"payload": {"type": "object"}}, {"title": "Not drawn"}
    document = {
        "channels": {"c": {"messages": {"a": {"$ref": "#/components/messages/a"}, "inner": inner}}},
        "operations": {
            "told": {"action": "receive", "title": "Told"},
            "asked": {"action": "receive", "reply": {}},
            "tells": {"action": "send"},
            "asks": {"action": "send", "reply": {}},
            "odd": {"action": "dances"},
        },
        "components": {"messages": {"a": drawn}},
    }
    contents = html_of(document).partition("</details>")[0]
    assert [link for link in Html(contents).values("href") if link.startswith("#")] == [
        *("#content", "#introduction", "#operations", "#operation-receive-told", "#operation-reply-asked"),
        *("#operation-send-tells", "#operation-request-asks", "#operation-odd", "#messages", "#message-a"),
    ]
    assert ">Told</a>" in contents


def test_what_else_a_schema_demands_stands_beside_the_words() -> None:
    assert limits_of({"type": "string", "minLength": 1, "default": "x"}) == 'minLength 1, default "x"'
    pair = {"type": "array", "items": [{}, {}], "minItems": 2, "maxItems": 2, "additionalItems": False}
    assert limits_of(pair) == ""  # the brackets say it
    assert limits_of({**pair, "maxItems": 3}) != ""


def test_what_the_pages_import_is_declared_for_whoever_installs_them() -> None:
    """And does not come by chance, with something else. werkzeug and markupsafe are the two halves of flask."""
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    declared = {
        re.split(r"[^\w-]", requirement)[0]
        for requirement in [*project["dependencies"], *project["optional-dependencies"]["web"]]
    }
    imported = {
        line.split()[1].partition(".")[0]
        for file in PAGES.glob("*.py")
        for line in file.read_text().splitlines()
        if line.startswith(("import ", "from "))
    }
    distributions = packages_distributions()
    own = {"sagas_framework", "__future__", *sys.stdlib_module_names}
    needed = {distributions[module][0].lower() for module in imported - own}
    assert "markdown-it-py" in needed
    assert needed - declared <= {"werkzeug", "markupsafe"}


# ---- what is served -------------------------------------------------------------------------------------------------


def test_both_files_are_the_document_and_are_not_sent_twice() -> None:
    document = load(str(KEPT / "restaurant_service.yaml"))
    page = page_of(document)
    assert yaml.safe_load(page.get("/asyncapi.yaml").text) == document
    assert page.get("/asyncapi.json").json == document
    for path in ("/asyncapi.yaml", "/asyncapi.json"):
        tag = page.get(path).headers["ETag"]
        assert page.get(path, headers={"If-None-Match": tag}).status_code == 304
    assert page.get("/health").status_code == 200


def test_the_map_shows_all_documents_of_the_process_as_picture_and_as_text() -> None:
    services = [Service(load(str(KEPT / f"{name}.yaml")), port) for port, name in enumerate(SERVICES)]
    page = create_site(services[1], services).test_client()
    picture = page.get("/map.svg")
    assert picture.mimetype == "image/svg+xml"
    assert "'unsafe-inline'" in picture.headers["Content-Security-Policy"]
    assert "script-src" not in picture.headers["Content-Security-Policy"]
    shown = page.get("/map").text
    assert '<img src="/map.svg"' in shown
    for service in services:
        assert service.title in picture.text and service.title in shown


@pytest.mark.parametrize(("path", "drawn_by"), [("/map", "to_text"), ("/map.svg", "to_svg")])
def test_the_map_is_drawn_once_however_often_it_is_looked_at(
    path: str, drawn_by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawing = Mock(return_value="the map")
    monkeypatch.setattr(site, drawn_by, drawing)
    page = page_of({})
    assert "the map" in page.get(path).text and "the map" in page.get(path).text
    drawing.assert_called_once()


def test_pages_run_their_own_files_only(tmp_path: Path) -> None:
    for page in (page_of({}), page_of({}, viewer=Viewer(tmp_path))):
        for path in ("/", "/map", "/nowhere", "/asyncapi.yaml"):
            answer = page.get(path)
            policy = answer.headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
            assert "unsafe-inline" not in policy and "*" not in policy
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["X-Frame-Options"] == "DENY"
            assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=", answer.text)


def test_only_the_two_files_of_the_viewer_are_served_of_its_folder(tmp_path: Path) -> None:
    (tmp_path / "package.json").write_text("{}")
    assert page_of({}, viewer=Viewer(tmp_path)).get("/viewer/package.json").status_code == 404
    assert page_of({}).get(f"/viewer/{next(iter(INTEGRITY))}").status_code == 404


def test_a_foreign_name_for_this_machine_is_refused() -> None:
    assert page_of({}).get("/asyncapi.json", headers={"Host": "evil.example:8083"}).status_code == 403
    assert page_of({}, loopback_only=False).get("/", headers={"Host": "kitchen.example"}).status_code == 200


def test_pages_link_each_other_and_home_by_the_name_that_the_browser_knows() -> None:
    services = [Service({"info": {"title": f"Service {port}"}}, port) for port in (8081, 8082)]
    site = create_site(services[0], services, home="http://127.0.0.1:5000/", loopback_only=False).test_client()
    links = Html(site.get("/", headers={"Host": "kitchen.example:8081"}).text).values("href")
    assert {"//kitchen.example:8081/", "//kitchen.example:8082/", "http://kitchen.example:5000/"} <= set(links)


# ---- the viewer -----------------------------------------------------------------------------------------------------


def test_the_lock_names_the_version_that_pages_load_and_no_place_to_load_it_from() -> None:
    text = (CHECKOUT / "tools" / "asyncapi_page" / "package-lock.json").read_text()
    packages = json.loads(text)["packages"]
    assert set(packages) == {"", f"node_modules/{PACKAGE}"}
    assert packages[f"node_modules/{PACKAGE}"]["version"] == VERSION
    assert packages[""]["dependencies"] == {PACKAGE: VERSION}
    assert "resolved" not in text and "://" not in text


def test_the_files_that_are_installed_are_those_that_browsers_accept(viewer_bundle: Path) -> None:
    for name, integrity in INTEGRITY.items():
        digest = hashlib.sha384((viewer_bundle / name).read_bytes()).digest()
        assert integrity == f"sha384-{base64.b64encode(digest).decode()}"


# ---- sagas asyncapi serve -------------------------------------------------------------------------------------------


def serve(*arguments: str) -> Result:
    return CliRunner().invoke(commands, ["asyncapi", "serve", *arguments], prog_name="sagas")


def test_a_busy_port_is_one_line_that_names_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        result = serve(f"{KEPT / 'order_service.yaml'}:{port}")
    assert result.exit_code == 1
    assert result.stderr.startswith(f"sagas: cannot listen on 127.0.0.1:{port} (Address already in use)")
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["order_service"], "'order_service' is not SOURCE:PORT, as in order_service:8081"),
        (["order_service:65536"], "is not SOURCE:PORT"),
        ([f"{KEPT / 'order_service.yaml'}:0", "--home", "javascript:alert(1)"], "is no web address"),
        ([f"{KEPT / 'order_service.yaml'}:0", "--bundle", str(KEPT)], "browser/standalone/index.js is missing"),
    ],
)
def test_what_cannot_be_served_is_one_line(arguments: list[str], said: str) -> None:
    result = serve(*arguments)
    assert result.exit_code in (1, 2)
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_without_the_web_servers_libraries_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("sagas_framework.asyncapi.pages")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "waitress", None)
    result = serve(f"{KEPT / 'order_service.yaml'}:0")
    assert result.exit_code == 1
    assert "pip install 'sagas-framework[web]'" in result.stderr


@pytest.fixture(params=[signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def server(request: pytest.FixtureRequest) -> Iterator[list[str]]:
    """The addresses of two contracts; ends by the signal, and must end well."""
    sources = [f"{KEPT / name}.yaml:0" for name in ("order_service", "consumer_service")]
    with subprocess.Popen(
        [sys.executable, "-m", "sagas_framework.cli", "asyncapi", "serve", *sources],
        env={"PYTHONPATH": f"{CHECKOUT}:{CHECKOUT / 'app_common'}", "PATH": "/usr/bin:/bin"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None and process.stderr is not None
            yield [process.stdout.readline().strip().rpartition(" ")[2] for _ in sources]
            process.send_signal(request.param)
            assert process.wait(timeout=10) == 0
            assert process.stderr.read() == ""
        finally:
            process.kill()


def test_one_process_serves_each_document_on_its_own_port_and_stops_when_it_is_told(server: list[str]) -> None:
    for address, title in zip(server, ("Order service", "Consumer service"), strict=True):
        with urlopen(f"{address}/asyncapi.json", timeout=5) as answer:
            assert json.load(answer)["info"]["title"] == title


def test_the_title_that_is_printed_does_nothing_to_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Stopped:
        def run(self) -> None:
            pass

    def create_server(*_: Any, sockets: list[socket.socket], **__: Any) -> Stopped:
        for each in sockets:
            each.close()
        return Stopped()

    monkeypatch.setattr(pages_server, "create_server", create_server)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    pages_server.serve([(document("A\x1b[2J\nB: http://elsewhere"), 0)], "127.0.0.1", None, None)
    assert capsys.readouterr().out.startswith("A[2J B: http://elsewhere: http://127.0.0.1:")
