"""The contracts of the four services as somebody's browser shows them."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Error, Page, Route, sync_playwright
from werkzeug.serving import make_server

from local_stack.plan import CHECKOUT, SERVICES
from sagas_framework.asyncapi.document import Document
from sagas_framework.asyncapi.pages.site import Service, create_site
from sagas_framework.asyncapi.pages.viewer import PUBLIC_COPY, installed_in
from sagas_framework.asyncapi.source import load

pytestmark = pytest.mark.slow

TELEPHONE = {"width": 390, "height": 300}
HOME = "http://127.0.0.1:5000"
# One that sends and one that receives: drawing takes a browser seconds.
DRAWN_SERVICES = ("order_service", "restaurant_service")
DRAWN = "#drawn #introduction"
RESTAURANT = load(str(CHECKOUT / "docs" / "asyncapi" / "restaurant_service.yaml"))


@dataclass
class Shown:
    """A service's contract in a tab of the browser, and what its console said."""

    page: Page
    document: Document
    errors: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        as_root = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=chromium, args=as_root)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def addresses(viewer_bundle: Path) -> Iterator[dict[str, str]]:
    """All services, from the one process that the local stack starts too."""
    settings = ["--home", HOME, "--bundle", str(viewer_bundle)]
    with subprocess.Popen(
        [
            sys.executable,
            "-m",
            "sagas_framework.cli",
            "asyncapi",
            "serve",
            *settings,
            *(f"{name}:0" for name in SERVICES),
        ],
        cwd=CHECKOUT,
        env={**os.environ, "PYTHONPATH": f"{CHECKOUT}:{CHECKOUT / 'app_common'}"},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            yield {name: process.stdout.readline().strip().rpartition(" ")[2] for name in SERVICES}
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def shown(browser: Browser, addresses: dict[str, str]) -> Iterator[dict[str, Shown]]:
    """All opened before the first is waited for: each is busy for a second or two."""
    context = browser.new_context()
    found = {}
    for name in DRAWN_SERVICES:
        address = addresses[name]
        tab = Shown(context.new_page(), context.request.get(f"{address}/asyncapi.json").json())
        tab.page.on("console", partial(note_console, tab))
        tab.page.on("pageerror", partial(note_error, tab))
        tab.page.goto(address, wait_until="commit")
        found[name] = tab
    for tab in found.values():
        tab.page.wait_for_selector(DRAWN)
    yield found
    context.close()


@pytest.fixture(scope="module")
def kinds_of_operations(viewer_bundle: Path) -> Iterator[str]:
    """A document with all four: with and without a reply."""
    channel = {"$ref": "#/channels/c"}
    operations: dict[str, dict[str, Any]] = {
        "told": {"action": "receive"},
        "asked": {"action": "receive", "reply": {"channel": channel}},
        "tells": {"action": "send"},
        "asks": {"action": "send", "reply": {"channel": channel}},
    }
    document = {
        "asyncapi": "3.0.0",
        "info": {"title": "All kinds", "version": "1.0.0"},
        "channels": {"c": {"address": "c", "messages": {"m": {"$ref": "#/components/messages/m"}}}},
        "operations": {
            name: {"title": name.capitalize(), "channel": channel, **operation}
            for name, operation in operations.items()
        },
        "components": {"messages": {"m": {"payload": {"type": "object"}}}},
    }
    with served(create_site(Service(document, 8081), viewer=installed_in(viewer_bundle))) as address:
        yield address


def note_console(tab: Shown, message: ConsoleMessage) -> None:
    if message.type in ("error", "warning"):
        tab.errors.append(message.text)


def note_error(tab: Shown, error: Error) -> None:
    tab.errors.append(str(error))


@pytest.mark.parametrize("service", DRAWN_SERVICES)
def test_the_drawn_page_shows_every_channel_and_message_and_the_console_is_quiet(
    shown: dict[str, Shown], service: str
) -> None:
    page, document = shown[service].page, shown[service].document
    info = document["info"]
    assert page.title() == f"{info['title']} {info['version']}"
    assert f"{info['title']} {info['version']}" in page.locator(DRAWN).inner_text().replace("\N{NO-BREAK SPACE}", " ")
    for details in page.get_by_text("View channel details").all():
        details.dispatch_event("click")  # which waits for no animation to end
    operations = page.locator("#drawn #operations").inner_text()
    assert document["channels"]
    for channel in document["channels"].values():
        assert channel["address"] is None or channel["address"] in operations
        assert all(message in operations for message in channel["messages"])
    for schema in document["components"]["schemas"]:
        assert page.locator(f"[id='schema-{schema}']").count() == 1
    assert shown[service].errors == []


def test_a_schema_opens_when_it_is_clicked(shown: dict[str, Shown]) -> None:
    schema = shown["restaurant_service"].page.locator("#schema-CreateTicketPayload")
    assert "customer_id" not in schema.inner_text()
    schema.get_by_role("button", name="CreateTicketPayload").click()
    assert "customer_id" in schema.inner_text()


def test_the_text_gives_way_to_the_drawn_page_and_a_link_leads_to_the_same_place_in_both(
    shown: dict[str, Shown], addresses: dict[str, str], browser: Browser
) -> None:
    drawn = shown["restaurant_service"].page
    assert drawn.locator("#text").count() == 0
    with opened(browser, java_script_enabled=False) as text:
        text.goto(addresses["restaurant_service"])
        for anchor in anchors_in_contents(text):
            assert text.locator(f"[id='{anchor}']").count() == drawn.locator(f"[id='{anchor}']").count() == 1, anchor


@pytest.mark.parametrize("service", DRAWN_SERVICES)
def test_the_contents_lead_to_every_operation_of_the_drawn_page(shown: dict[str, Shown], service: str) -> None:
    page, operations = shown[service].page, shown[service].document["operations"]
    anchors = [anchor for anchor in anchors_in_contents(page) if anchor.startswith("operation-")]
    for anchor, name in zip(anchors, operations, strict=True):
        page.locator(f".contents a[href='#{anchor}']").dispatch_event("click")
        assert f"Operation ID{name}" in page.locator(f"[id='{anchor}']").text_content()  # type: ignore[operator]
        wait_until_at_the_top(page, anchor)


def test_on_a_telephone_the_contents_open_over_the_drawn_page_and_close_when_they_have_led_somewhere(
    browser: Browser, kinds_of_operations: str
) -> None:
    with opened(browser, viewport=TELEPHONE) as page:
        page.goto(f"{kinds_of_operations}#operation-request-asks")
        page.wait_for_selector(DRAWN)
        wait_until_at_the_top(page, "operation-request-asks")
        for name, kind in (("Tells", "send-tells"), ("Asked", "reply-asked"), ("Told", "receive-told")):
            link = page.get_by_role("link", name=name, exact=True)
            assert not link.is_visible()
            page.mouse.click(100, 25)  # the line is in sight, however far down one is, and nothing lies over it
            link.click()
            assert not link.is_visible()
            wait_until_at_the_top(page, f"operation-{kind}")
        page.set_viewport_size({"width": 1400, "height": 900})
        assert link.is_visible()


def anchors_in_contents(page: Page) -> list[str]:
    links = page.locator(".contents a").evaluate_all("links => links.map(link => link.getAttribute('href'))")
    assert len(links) > 10
    return [link.removeprefix("#") for link in links]


def wait_until_at_the_top(page: Page, anchor: str) -> None:
    """Of what is in sight, below the line that stays there on a telephone. Browsers follow a link a moment later."""
    page.wait_for_function(
        "anchor => Math.abs(document.getElementById(anchor).getBoundingClientRect().top - 50) < 50",
        arg=anchor,
        timeout=10_000,
    )


def test_pages_lead_to_each_other_to_the_files_and_home(browser: Browser, addresses: dict[str, str]) -> None:
    with opened(browser, java_script_enabled=False) as page:
        page.goto(addresses["restaurant_service"])
        assert page.get_by_role("link", name="Home").get_attribute("href") == HOME
        for service in SERVICES:
            page.get_by_role("link", name=service.replace("_", " ").capitalize(), exact=True).click()
            assert page.url == f"{addresses[service]}/"
        page.get_by_role("link", name="Map").click()
        assert page.locator("img[alt^='The services']").evaluate("image => image.naturalWidth") > 0
        page.get_by_role("link", name="YAML").click()
        assert "asyncapi: 3.0.0" in page.inner_text("body")


def test_without_javascript_the_whole_document_can_be_read(browser: Browser, addresses: dict[str, str]) -> None:
    with opened(browser, java_script_enabled=False) as page:
        document = page.request.get(f"{addresses['order_service']}/asyncapi.json").json()
        page.goto(addresses["order_service"])
        text = page.inner_text("body")
    assert_tells_all(text, document)


def assert_tells_all(text: str, document: Document) -> None:
    parts = document["components"]
    names = [*document["channels"], *document["operations"], *parts["messages"], *parts["schemas"]]
    fields = [field for schema in parts["schemas"].values() for field in schema.get("properties", {})]
    queues = [channel["address"] for channel in document["channels"].values() if channel["address"]]
    for told in (document["info"]["title"], *names, *fields, *queues):
        assert told in text


# ---- where the viewer is not installed: browsers ask the public copy ------------------------------------------------


@pytest.fixture
def without_viewer() -> Iterator[str]:
    with served(create_site(Service(RESTAURANT, 8083))) as address:
        yield address


def test_the_public_copy_draws_the_page_as_well(browser: Browser, without_viewer: str, viewer_bundle: Path) -> None:
    def answer(route: Route) -> None:
        body = (viewer_bundle / route.request.url.removeprefix(PUBLIC_COPY)).read_bytes()
        route.fulfill(body=body, content_type=content_type(route), headers={"Access-Control-Allow-Origin": "*"})

    with opened(browser) as page:
        page.route(f"{PUBLIC_COPY}**", answer)
        page.goto(without_viewer)
        page.wait_for_selector(DRAWN)


@pytest.mark.parametrize("public_copy", ["cannot be reached", "is not what it was"])
def test_without_any_viewer_the_text_stays(browser: Browser, without_viewer: str, public_copy: str) -> None:
    def answer(route: Route) -> None:
        if public_copy == "cannot be reached":
            route.abort()
            return
        body = "document.getElementById('text').remove()"
        route.fulfill(body=body, content_type=content_type(route), headers={"Access-Control-Allow-Origin": "*"})

    with opened(browser) as page:
        page.route(f"{PUBLIC_COPY}**", answer)
        with page.expect_event("console", lambda message: message.type == "error"):  # the browser says what it misses
            page.goto(without_viewer)
        page.wait_for_load_state("networkidle")
        assert page.locator(DRAWN).count() == 0
        assert_tells_all(page.inner_text("#text"), RESTAURANT)


def content_type(route: Route) -> str:
    return "text/css" if route.request.url.endswith(".css") else "text/javascript"


@contextmanager
def served(site: Flask) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, site, threaded=True)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


@contextmanager
def opened(browser: Browser, **settings: Any) -> Iterator[Page]:
    context: BrowserContext = browser.new_context(**settings)
    try:
        yield context.new_page()
    finally:
        context.close()
