"""The pages of one document: drawn, as YAML and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import urlsplit

from flask import Flask, Response, abort, make_response, render_template, request, send_from_directory
from markdown_it import MarkdownIt
from markupsafe import Markup
from werkzeug.exceptions import HTTPException

from sagas_framework.asyncapi.document import Document, to_json, to_yaml
from sagas_framework.asyncapi.pages.reading import Reader
from sagas_framework.asyncapi.pages.safety import LOOPBACK_NAMES, hostname, protect
from sagas_framework.asyncapi.pages.viewer import INTEGRITY, SCRIPT, STYLE, Viewer
from sagas_framework.asyncapi.system_map import to_svg, to_text

# Of a description: it stands below a heading of the second level.
HEADINGS_BEGIN_AT = 3
# The picture is a file that stands alone: its style sheet is inside it, and nothing else is loaded.
PICTURE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"


@dataclass(frozen=True)
class Service:
    """A document, and the port of its pages."""

    document: Document
    port: int

    @property
    def title(self) -> str:
        return Reader(self.document).title


class Site:
    """`neighbours`: all services whose pages are linked, this one among them. `home`: the system's own page."""

    def __init__(self, service: Service, neighbours: Sequence[Service], viewer: Viewer, home: str | None) -> None:
        self.service = service
        self.neighbours = neighbours
        self.viewer = viewer
        self.home = home
        self.documents = [neighbour.document for neighbour in neighbours]

    def add_to(self, app: Flask) -> None:
        app.add_url_rule("/", "page", self.page)
        # Not application/yaml: browsers save that to a file instead of showing it.
        app.add_url_rule("/asyncapi.yaml", "yaml", lambda: _revalidated(self.yaml, "text/yaml"))
        app.add_url_rule("/asyncapi.json", "json", lambda: _revalidated(self.json, "application/json"))
        app.add_url_rule("/map", "map", lambda: render_template("map.html", text=self.map_as_text))
        app.add_url_rule("/map.svg", "picture", self.picture)
        app.add_url_rule("/health", "health", lambda: Response("healthy\n", mimetype="text/plain"))
        app.add_url_rule("/viewer/<path:name>", "viewer", self.part_of_viewer)
        app.register_error_handler(HTTPException, self.error)
        app.context_processor(self.what_every_page_shows)

    def page(self) -> str:
        return render_template(
            "document.html",
            document=Reader(self.service.document),
            viewer=self.viewer,
            integrity={"script": INTEGRITY[SCRIPT], "style": INTEGRITY[STYLE]},
        )

    # A document does not change while it is served: each of these is written once.
    @cached_property
    def yaml(self) -> str:
        return to_yaml(self.service.document)

    @cached_property
    def json(self) -> str:
        return to_json(self.service.document)

    @cached_property
    def map_as_text(self) -> str:
        return to_text(self.documents)

    @cached_property
    def map_as_picture(self) -> str:
        return to_svg(self.documents)

    def picture(self) -> Response:
        answer = _revalidated(self.map_as_picture, "image/svg+xml")
        answer.headers["Content-Security-Policy"] = PICTURE_POLICY
        return answer

    def part_of_viewer(self, name: str) -> Response:
        if self.viewer.directory is None or name not in INTEGRITY:
            abort(404)
        return send_from_directory(self.viewer.directory, name)

    def error(self, error: HTTPException) -> tuple[str, int]:
        return render_template("error.html", error=error), error.code or 500

    def what_every_page_shows(self) -> dict[str, object]:
        here = hostname(request.host)
        return {
            "title": self.service.title,
            "services": [(other.title, f"//{here}:{other.port}/", other is self.service) for other in self.neighbours],
            "home": self.home and _seen_from(here, self.home),
        }


def create_site(
    service: Service,
    neighbours: Sequence[Service] = (),
    viewer: Viewer | None = None,
    *,
    home: str | None = None,
    loopback_only: bool = True,
) -> Flask:
    app = Flask(__name__)
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.filters["markdown"] = markdown
    viewer = viewer or Viewer()
    protect(app, viewer, loopback_only=loopback_only)
    Site(service, neighbours or [service], viewer, home).add_to(app)
    return app


def markdown(text: str) -> Markup:
    """Tags in the text are shown as text, and links lead to web pages only: a document may be anybody's."""
    parser = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    tokens = parser.parse(text)
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(int(token.tag[1]) + HEADINGS_BEGIN_AT - 1, 6)}"
    html: str = parser.renderer.render(tokens, parser.options, {})
    return Markup(html)


def _revalidated(text: str, mimetype: str) -> Response:
    answer = make_response(text)
    answer.mimetype = mimetype
    answer.add_etag()
    answer.make_conditional(request)
    return answer


def _seen_from(here: str, address: str) -> str:
    """An address of this machine, by the name that the browser knows it by."""
    parts = urlsplit(address)
    if (parts.hostname or "") not in LOOPBACK_NAMES:
        return address
    return parts._replace(netloc=f"{here}:{parts.port}" if parts.port else here).geturl()
