"""What a browser may do with these pages, and by which names they are asked for."""

from __future__ import annotations

from flask import Flask, Response, abort, request

from sagas_framework.asyncapi.pages.viewer import Viewer

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})


def protect(app: Flask, viewer: Viewer, *, loopback_only: bool) -> None:
    """`loopback_only`: the pages are for this machine alone, so any other name for it is a trick of DNS."""
    headers = _headers(viewer)

    def refuse_foreign_names() -> None:
        if hostname(request.host) not in LOOPBACK_NAMES:
            abort(403, "This page is served to this machine only, by the names localhost and 127.0.0.1.")

    def add_headers(response: Response) -> Response:
        for name, value in headers.items():
            response.headers.setdefault(name, value)
        response.headers.setdefault("Cache-Control", "no-cache")
        return response

    if loopback_only:
        app.before_request(refuse_foreign_names)
    app.after_request(add_headers)


def hostname(host: str) -> str:
    """Of a Host header: without the port, with the brackets of an IPv6 address."""
    name, _, port = host.rpartition(":")
    return name if name and port.isdigit() else host


def _headers(viewer: Viewer) -> dict[str, str]:
    own = "'self'"
    # The viewer's validator makes functions from text as soon as it is loaded: without 'unsafe-eval' it draws
    # nothing. Which scripts run is not widened by that: none stands in a page, and what a document says is data.
    script, style = (own, own) if viewer.directory else (f"{own} {viewer.script}", f"{own} {viewer.style}")
    policy = (
        f"default-src 'none'; script-src {script} 'unsafe-eval'; style-src {style}; img-src 'self' data:; "
        "connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
    )
    return {
        "Content-Security-Policy": policy,
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
    }
