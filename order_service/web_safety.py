"""What keeps other people's pages from launching sagas, and ours from running anything but its own files."""

from urllib.parse import urlsplit

from flask import Flask, Response, abort, request

READING_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    # Not "no-referrer": with it browsers send "Origin: null" for our own forms too.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})


def protect(app: Flask, *, loopback_only: bool) -> None:
    """`loopback_only`: the page is served to this machine alone, so any other name for it is a trick of DNS."""
    if loopback_only:
        app.before_request(_refuse_foreign_names)
    app.before_request(_refuse_foreign_writes)
    app.after_request(_add_headers)


def _refuse_foreign_names() -> None:
    """A foreign page whose name was made to resolve to this machine would pass for the same origin."""
    if request.host.rpartition(":")[0] not in LOOPBACK_NAMES and request.host not in LOOPBACK_NAMES:
        abort(403, "This page is served to this machine only, by the names localhost and 127.0.0.1.")


def _refuse_foreign_writes() -> None:
    """Browsers say where a request comes from and pages cannot forge it. What says nothing is not a browser."""
    if request.method in READING_METHODS:
        return
    site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin")
    if site not in (None, "same-origin", "none"):
        abort(403, "This request came from another site's page.")
    if origin is not None and urlsplit(origin).netloc != request.host:
        abort(403, "This request came from another site's page.")


def _add_headers(response: Response) -> Response:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if "Cache-Control" not in response.headers:
        response.headers["Cache-Control"] = "no-cache"
    return response
