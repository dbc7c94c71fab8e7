"""The order service's page: launch sagas, watch them. `python -m order_service.web` serves it."""

import signal
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from random import Random
from typing import Any
from uuid import UUID

from flask import Flask, Response, abort, jsonify, make_response, redirect, render_template, request, url_for
from flask.json.provider import DefaultJSONProvider
from markupsafe import Markup
from sqlalchemy import select
from waitress import create_server
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as AnyResponse

from order_service import presentation
from order_service.launches import LAUNCHES, Launch, place_order
from order_service.models import Order
from order_service.presentation import SAGA_STATUSES, SagaPage, saga_page, saga_row
from order_service.web_safety import protect
from sagas_framework import Operations, Orchestrator, UnknownSaga, reading_session
from sagas_framework.operations import DIAGRAM_STYLE, SagaDetails, SagaSummary

RECENT_SAGAS = 50
LONGEST_IDEMPOTENCY_KEY_CHARACTERS = 200
WEB_THREADS = 8
ORDER_COLUMNS = tuple(Order.__table__.columns)
NO_PORTS: Mapping[str, int] = {}


class IsoJSONProvider(DefaultJSONProvider):
    """Moments as ISO 8601, where Flask's own writes the format of HTTP headers."""

    @staticmethod
    def default(o: Any) -> Any:
        return o.isoformat() if isinstance(o, datetime) else DefaultJSONProvider.default(o)


def create_web_app(
    orchestrator: Orchestrator,
    operations: Operations | None = None,
    random: Random | None = None,
    *,
    docs_ports: Mapping[str, int] = NO_PORTS,
    loopback_only: bool = True,
) -> Flask:
    """`docs_ports`: where the contract of each service is served."""
    app = Flask(__name__)
    app.json = IsoJSONProvider(app)
    app.jinja_env.filters["clock"] = presentation.utc_clock
    app.jinja_env.globals["ORDER_STATUSES"] = presentation.ORDER_STATUSES
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    protect(app, loopback_only=loopback_only)
    Pages(orchestrator, operations or Operations(orchestrator), random or Random(), docs_ports).add_to(app)
    app.register_error_handler(HTTPException, show_error)
    return app


LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "::1")


class Pages:
    """What the routes share: where sagas are started, and where they are looked up."""

    def __init__(
        self, orchestrator: Orchestrator, operations: Operations, random: Random, docs_ports: Mapping[str, int]
    ) -> None:
        self.orchestrator = orchestrator
        self.operations = operations
        self.random = random
        self.docs_ports = docs_ports

    def add_to(self, app: Flask) -> None:
        for launch in LAUNCHES:
            endpoint = launch.path.strip("/")
            app.add_url_rule(launch.path, endpoint, self.launch_page(launch), methods=["GET"])
            app.add_url_rule(launch.path, f"post-{endpoint}", self.launching(launch), methods=["POST"])
        app.add_url_rule("/", "home", self.home)
        app.add_url_rule("/sagas/<uuid:saga_id>", "saga", self.saga)
        app.add_url_rule("/fragments/sagas", "fragment_sagas", self.fragment_sagas)
        app.add_url_rule("/fragments/sagas/<uuid:saga_id>", "fragment_saga", self.fragment_saga)
        app.add_url_rule("/api/sagas", "api_sagas", self.api_sagas)
        app.add_url_rule("/api/sagas/<uuid:saga_id>", "api_saga", self.api_saga)
        app.add_url_rule("/diagram.css", "diagram_style", lambda: Response(DIAGRAM_STYLE, mimetype="text/css"))
        app.add_url_rule("/ping", "ping", lambda: Response("pong\n", mimetype="text/plain"))

    def launch_page(self, launch: Launch) -> Callable[[], str]:
        return lambda: render_template("launch.html", launch=launch)

    def launching(self, launch: Launch) -> Callable[[], AnyResponse]:
        def launch_saga() -> AnyResponse:
            key = request.headers.get("Idempotency-Key")
            if key is not None and not 0 < len(key) <= LONGEST_IDEMPOTENCY_KEY_CHARACTERS:
                abort(400, f"An Idempotency-Key has 1 to {LONGEST_IDEMPOTENCY_KEY_CHARACTERS} characters.")
            handle = place_order(self.orchestrator, launch.order(self.random), key)
            return redirect(url_for("saga", saga_id=UUID(handle.saga_id)), 303)

        return launch_saga

    def home(self) -> str:
        contracts = presentation.contract_links(self.docs_ports, request.host)
        return render_template("home.html", launches=LAUNCHES, contracts=contracts, **self._recent())

    def saga(self, saga_id: UUID) -> str:
        return render_template("saga.html", saga=self._saga(saga_id))

    def fragment_sagas(self) -> AnyResponse:
        return _revalidated(render_template("_sagas.html", **self._recent()))

    def fragment_saga(self, saga_id: UUID) -> AnyResponse:
        return _revalidated(render_template("_saga.html", saga=self._saga(saga_id)))

    def api_sagas(self) -> Response:
        sagas = self._summaries(_wanted_status())
        orders = self._orders(saga.id for saga in sagas)
        return jsonify({"sagas": [{**asdict(saga), "order": _order(orders.get(saga.id))} for saga in sagas]})

    def api_saga(self, saga_id: UUID) -> Response:
        id_ = str(saga_id)
        try:
            details, trace = self.operations.show(id_), self.operations.trace(id_)
        except UnknownSaga:
            abort(404, f"There is no saga {id_}.")
        return jsonify({**asdict(details), "trace": trace, "order": _order(self._orders([id_]).get(id_))})

    def _recent(self) -> dict[str, Any]:
        status = _wanted_status()
        sagas = self._summaries(status)
        orders = self._orders(saga.id for saga in sagas)
        rows = [saga_row(saga, orders.get(saga.id)) for saga in sagas]
        return {"sagas": rows, "status": status, "statuses": SAGA_STATUSES}

    def _summaries(self, status: str | None) -> Sequence[SagaSummary]:
        return self.operations.list(status=status, limit=RECENT_SAGAS)

    def _saga(self, saga_id: UUID) -> SagaPage:
        id_ = str(saga_id)
        try:
            details = self.operations.show(id_)
        except UnknownSaga:
            abort(404, f"There is no saga {id_}.")
        return saga_page(details, self._orders([id_]).get(id_), self._diagram(details))

    def _diagram(self, saga: SagaDetails) -> Markup | None:
        """Not of a saga that this version does not know any more."""
        if saga.saga not in self.operations.saga_names:
            return None
        return Markup(self.operations.diagram(saga, "inline svg"))  # the framework escapes what it draws

    def _orders(self, saga_ids: Iterable[str]) -> dict[str | None, Order]:
        # Pages that are looked at every second must not queue for SQLite's only write lock.
        with reading_session(self.orchestrator.engine) as session:
            orders = session.scalars(select(Order).where(Order.saga_id.in_(list(saga_ids))))
            return {order.saga_id: order for order in orders}


def _wanted_status() -> str | None:
    status = request.args.get("status") or None
    if status is not None and status not in SAGA_STATUSES:
        abort(404, "There is no such status.")
    return status


def _order(order: Order | None) -> dict[str, Any] | None:
    return None if order is None else {column.name: getattr(order, column.name) for column in ORDER_COLUMNS}


def _revalidated(html: str) -> AnyResponse:
    """Asked for every second or so: an unchanged fragment costs a line of headers."""
    response = make_response(html)
    response.add_etag()
    return response.make_conditional(request)


def show_error(error: HTTPException) -> tuple[Response, int]:
    code = error.code or 500
    if request.path.startswith("/api/"):
        return jsonify({"error": error.name, "message": error.description}), code
    return make_response(render_template("error.html", error=error)), code


def main() -> None:
    from order_service.worker import orchestrator, settings  # reads the environment: not before it is wanted

    try:
        loopback_only = settings.host in LOOPBACK_HOSTS
        app = create_web_app(orchestrator, docs_ports=settings.docs_ports, loopback_only=loopback_only)
        server = create_server(app, host=settings.host, port=settings.port, threads=WEB_THREADS, ident="")
    except OSError as error:
        sys.exit(
            f"order_service: cannot listen on {settings.host}:{settings.port} ({error.strerror}); "
            "ORDER_SERVICE_HOST and ORDER_SERVICE_PORT choose another address"
        )
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # waitress then finishes what it is serving
    print(f"order_service: http://{settings.host}:{settings.port}", flush=True)
    server.run()


if __name__ == "__main__":
    main()
