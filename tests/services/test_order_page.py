import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select

from order_service import settings
from order_service.create_order_saga import CreateOrderSaga
from order_service.launches import LAUNCHES
from order_service.models import Order
from order_service.prepare_database import prepare
from order_service.web import create_web_app
from sagas_framework import Operations, Orchestrator, create_orchestrator

PATHS = [
    "/run-random-saga",
    "/run-success-saga",
    "/run-saga-failing-on-consumer-verification-because-of-incorrect-id",
    "/run-saga-where-orchestrator-code-fails",
    "/run-saga-failing-on-card-authorization",
]
NOBODYS_SAGA = "01920000-0000-7000-8000-000000000404"


@pytest.fixture
def orchestrator(tmp_path: Path) -> Iterator[Orchestrator]:
    orchestrator = create_orchestrator(
        "order_service",
        broker="memory://",
        database_url=f"sqlite:///{tmp_path / 'order_service.sqlite3'}",
        sagas=[CreateOrderSaga],
    )
    prepare(orchestrator.engine)
    yield orchestrator
    orchestrator.engine.dispose()


@pytest.fixture
def page(orchestrator: Orchestrator) -> FlaskClient:
    app = create_web_app(orchestrator, random=Random(1))
    app.testing = True
    return app.test_client()


def number_of_orders(orchestrator: Orchestrator) -> int:
    with orchestrator.sessions() as session:
        return session.scalars(select(func.count()).select_from(Order)).one()


def json_at(page: FlaskClient, path: str) -> Any:
    answer = page.get(path)
    assert answer.mimetype == "application/json"
    return answer.json


class Forms(HTMLParser):
    """The forms of a page, as method and action."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str | None, str | None]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "form":
            self.found.append((dict(attrs).get("method"), dict(attrs).get("action")))


def test_the_homepage_has_a_button_for_each_launch(page: FlaskClient) -> None:
    assert {launch.path for launch in LAUNCHES} == set(PATHS)
    assert sorted(Forms(page.get("/").text).found, key=str) == sorted([("post", path) for path in PATHS], key=str)


@pytest.mark.parametrize("path", PATHS)
def test_opening_a_launchs_path_shows_its_button_and_launches_nothing(
    page: FlaskClient, orchestrator: Orchestrator, path: str
) -> None:
    answer = page.get(path)
    assert answer.status_code == 200
    assert Forms(answer.text).found == [("post", path)]
    assert page.head(path).status_code == 200
    assert number_of_orders(orchestrator) == 0


@pytest.mark.parametrize("path", PATHS)
def test_pressing_a_button_places_one_order_and_leads_to_its_saga(
    page: FlaskClient, orchestrator: Orchestrator, path: str
) -> None:
    answer = page.post(path)
    assert answer.status_code == 303
    saga_page = answer.headers["Location"]
    with orchestrator.sessions() as session:
        order = session.scalars(select(Order)).one()
    assert order.status == "pending_validation"
    assert saga_page == f"/sagas/{order.saga_id}"

    shown = page.get(saga_page)
    assert shown.status_code == 200
    assert f"Order {order.id}" in shown.text and "Running" in shown.text
    assert "consumer_service.verify_consumer_details" in shown.text
    assert saga_page in page.get("/").text


def test_without_its_saga_there_is_no_order(
    page: FlaskClient, orchestrator: Orchestrator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise LookupError("no saga today")

    monkeypatch.setattr(orchestrator, "start", fail)
    with pytest.raises(LookupError):
        page.post("/run-success-saga")
    assert number_of_orders(orchestrator) == 0


def test_a_repeated_idempotency_key_leads_to_the_first_saga_and_places_no_other_order(
    page: FlaskClient, orchestrator: Orchestrator
) -> None:
    first, again = (page.post("/run-success-saga", headers={"Idempotency-Key": "k-1"}) for _ in range(2))
    other = page.post("/run-success-saga", headers={"Idempotency-Key": "k-2"})
    assert first.headers["Location"] == again.headers["Location"] != other.headers["Location"]
    assert number_of_orders(orchestrator) == 2


@pytest.mark.parametrize("key", ["", "k" * 201])
def test_an_idempotency_key_that_is_none_is_refused(page: FlaskClient, orchestrator: Orchestrator, key: str) -> None:
    assert page.post("/run-success-saga", headers={"Idempotency-Key": key}).status_code == 400
    assert number_of_orders(orchestrator) == 0


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "http://localhost:5001"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "http://evil.example"},
    ],
    ids=str,
)
def test_another_sites_page_cannot_press_a_button(
    page: FlaskClient, orchestrator: Orchestrator, headers: dict[str, str]
) -> None:
    assert page.post("/run-success-saga", headers=headers).status_code == 403
    assert number_of_orders(orchestrator) == 0


def test_our_own_page_can_press_it(page: FlaskClient) -> None:
    own = {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}
    assert page.post("/run-success-saga", headers=own).status_code == 303


@pytest.mark.parametrize("saga_id", [NOBODYS_SAGA, "7", "no-uuid", "%3Cscript%3Ealert(1)%3C/script%3E"])
@pytest.mark.parametrize("before", ["/sagas/", "/fragments/sagas/"])
def test_a_saga_that_nobody_knows_is_a_page_that_says_so(page: FlaskClient, before: str, saga_id: str) -> None:
    answer = page.get(before + saga_id)
    assert answer.status_code == 404
    assert "Not Found" in answer.text and "<script>alert" not in answer.text


@pytest.mark.parametrize("saga_id", [NOBODYS_SAGA, "no-uuid"])
def test_scripts_are_told_in_json_that_nobody_knows_a_saga(page: FlaskClient, saga_id: str) -> None:
    assert page.get(f"/api/sagas/{saga_id}").status_code == 404
    assert json_at(page, f"/api/sagas/{saga_id}")["error"] == "Not Found"


def test_scripts_read_the_same_as_json(page: FlaskClient) -> None:
    saga_id = page.post("/run-success-saga").headers["Location"].rsplit("/", 1)[1]
    saga = json_at(page, f"/api/sagas/{saga_id}")
    assert (saga["id"], saga["status"], saga["order"]["status"]) == (saga_id, "running", "pending_validation")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00", saga["created_at"])
    assert [step["name"] for step in saga["steps"]] == [step.name for step in CreateOrderSaga.steps]
    assert "begin saga" in saga["trace"]

    listed = json_at(page, "/api/sagas")["sagas"]
    assert [(other["id"], other["order"]["id"]) for other in listed] == [(saga_id, saga["order"]["id"])]


def test_the_list_shows_the_sagas_of_one_status(page: FlaskClient) -> None:
    saga_page = page.post("/run-success-saga").headers["Location"]
    assert saga_page in page.get("/?status=running").text
    assert saga_page not in page.get("/?status=succeeded").text
    assert json_at(page, "/api/sagas?status=succeeded") == {"sagas": []}


def test_a_status_that_does_not_exist_is_no_page(page: FlaskClient) -> None:
    assert page.get("/?status=%3Cscript%3E").status_code == 404


def test_an_unchanged_fragment_is_not_sent_twice(page: FlaskClient) -> None:
    saga_page = page.post("/run-success-saga").headers["Location"]
    for fragment in ("/fragments/sagas", f"/fragments{saga_page}"):
        first = page.get(fragment)
        again = page.get(fragment, headers={"If-None-Match": first.headers["ETag"]})
        assert (first.status_code, again.status_code) == (200, 304)


def test_a_sagas_page_shows_its_diagram_and_so_does_what_refreshes_it(page: FlaskClient) -> None:
    saga_page = page.post("/run-success-saga").headers["Location"]
    for path in (saga_page, f"/fragments{saga_page}"):
        html = page.get(path).text
        assert html.count('<svg class="sagas-diagram"') == 1
        assert html.index('class="sagas-diagram"') < html.index('<h2 id="steps">')
        assert "verify consumer details" in html and "under way" in html
    assert '<link rel="stylesheet" href="/diagram.css">' in page.get(saga_page).text
    style = page.get("/diagram.css")
    assert style.mimetype == "text/css" and ".sagas-diagram" in style.text


def test_a_picture_of_how_far_it_is_changes_with_the_saga(page: FlaskClient, orchestrator: Orchestrator) -> None:
    saga_page = page.post("/run-success-saga").headers["Location"]
    first = page.get(f"/fragments{saga_page}")
    Operations(orchestrator).cancel(saga_page.rsplit("/", 1)[1], "the guest left")
    again = page.get(f"/fragments{saga_page}", headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 200 and again.text != first.text


def test_the_contracts_are_linked_on_the_host_by_which_the_page_was_reached(orchestrator: Orchestrator) -> None:
    ports = {"order_service": 8081, "consumer_service": 9082}
    page = create_web_app(orchestrator, docs_ports=ports, loopback_only=False).test_client()
    for host, name in (("kitchen.example:5000", "kitchen.example"), ("[::1]:5000", "[::1]"), ("kitchen", "kitchen")):
        html = page.get("/", headers={"Host": host}).text
        assert f'<a href="//{name}:8081/">Order service</a>' in html
        assert f'<a href="//{name}:9082/">Consumer service</a>' in html
        assert f'<a href="//{name}:8081/map">Map</a>' in html


def test_the_page_alone_leads_to_no_contracts_that_nobody_serves(
    orchestrator: Orchestrator, monkeypatch: pytest.MonkeyPatch
) -> None:
    for service in settings.SERVICES:
        monkeypatch.delenv(f"{service.upper()}_DOCS_PORT", raising=False)
    alone = create_web_app(orchestrator, docs_ports=settings.from_environment().docs_ports).test_client()
    assert "Contracts" not in alone.get("/").text
    monkeypatch.setenv("CONSUMER_SERVICE_DOCS_PORT", "9082")
    beside_one = create_web_app(orchestrator, docs_ports=settings.from_environment().docs_ports).test_client()
    assert ':9082/">Consumer service</a>' in beside_one.get("/").text
    assert "Order service</a>" not in beside_one.get("/").text


def test_ping_answers(page: FlaskClient) -> None:
    assert page.get("/ping").text == "pong\n"


def test_pages_run_their_own_files_only(page: FlaskClient) -> None:
    saga_page = page.post("/run-random-saga").headers["Location"]
    for path in ("/", saga_page, "/run-success-saga", "/nowhere"):
        answer = page.get(path)
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=|https?://", answer.text)


def test_every_saga_id_is_a_uuid(page: FlaskClient) -> None:
    assert UUID(page.post("/run-random-saga").headers["Location"].rsplit("/", 1)[1])


def test_a_foreign_name_for_this_machine_is_refused(page: FlaskClient) -> None:
    """DNS can make any name resolve to 127.0.0.1, and the page of that name would pass for the same origin."""
    assert page.get("/", headers={"Host": "evil.example:5000"}).status_code == 403
    assert page.get("/ping", headers={"Host": "127.0.0.1:5000"}).status_code == 200
