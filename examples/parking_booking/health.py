"""`/health` of a service: 200 when its broker and its database answer; 503, and which does not, otherwise."""

import signal
import sys

from flask import Flask
from waitress import create_server

from sagas_framework import Orchestrator, Participant
from sagas_framework.environment import read_port
from sagas_framework.operations import examine

# Loopback: nobody logs in here, and what is wrong with a broker is nobody else's business.
HOST = "127.0.0.1"
DEFAULT_PORTS = {"parking_service": 8000, "booking_service": 8001, "billing_service": 8002}
PARTS = ("broker", "database")


def port_variable(service: str) -> str:
    return f"{service.upper()}_PORT"


def port_of(service: str) -> int:
    return read_port(port_variable(service), DEFAULT_PORTS[service])


def health_app(service: Orchestrator | Participant) -> Flask:
    app = Flask(service.name)

    @app.get("/health")
    def health() -> tuple[dict[str, str], int]:
        # The doctor asks more than this; who is on call wants all of it, a load balancer does not.
        found = [finding for finding in examine(service, start_worker="") if finding.check in PARTS]
        report = {finding.check: "answers" if finding.ok else finding.text for finding in found}
        return report, 200 if all(finding.ok for finding in found) else 503

    return app


def serve_health(service: Orchestrator | Participant) -> None:
    port = port_of(service.name)
    try:
        server = create_server(health_app(service), host=HOST, port=port, threads=2, ident="")
    except OSError as error:
        variable = port_variable(service.name)
        sys.exit(f"{service.name}: cannot listen on {HOST}:{port} ({error.strerror}); {variable} chooses another port")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # waitress then finishes what it is serving
    server.run()
