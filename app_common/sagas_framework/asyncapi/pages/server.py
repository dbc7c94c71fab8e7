"""One process for the pages of several documents, each on a port of its own."""

from __future__ import annotations

import signal
import socket
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from waitress import create_server

from sagas_framework.asyncapi.document import Document
from sagas_framework.asyncapi.pages.site import Service, create_site
from sagas_framework.asyncapi.pages.viewer import installed_in
from sagas_framework.errors import ConfigurationError
from sagas_framework.vocabulary.text import printable_line

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

THREADS = 4
LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "::1")


def serve(documents: Sequence[tuple[Document, int]], host: str, home: str | None, bundle: Path | None) -> None:
    """Until a signal ends it. Port 0 lets the system choose one; which one is printed."""
    if home is not None and not home.startswith(("http://", "https://")):
        raise ConfigurationError(f"the home page {home!r} is no web address; write for example http://127.0.0.1:5000")
    viewer = installed_in(bundle)
    sockets = [_listening(host, port) for _, port in documents]
    services = [
        Service(document, listening.getsockname()[1])
        for (document, _), listening in zip(documents, sockets, strict=True)
    ]
    sites = {
        service.port: create_site(service, services, viewer, home=home, loopback_only=host in LOOPBACK_HOSTS)
        for service in services
    }
    server = create_server(_by_port(sites), sockets=sockets, threads=THREADS, ident="")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # waitress then finishes what it is serving
    for service in services:
        shown = f"[{host}]" if ":" in host else host
        print(f"{printable_line(service.title)}: http://{shown}:{service.port}", flush=True)
    server.run()


def _by_port(sites: Mapping[int, WSGIApplication]) -> WSGIApplication:
    """The socket that took the connection says which; a Host header could say anything."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return sites[int(environ["SERVER_PORT"])](environ, start_response)

    return application


def _listening(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server(address[:2], family=family)
    except OSError as error:
        why = (error.strerror or "no reason given").partition(" (")[0]
        raise ConfigurationError(
            f"cannot listen on {host}:{port} ({why}): stop what uses it, or name another host or port"
        ) from None
