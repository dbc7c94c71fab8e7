"""When a part of the system counts as healthy."""

import http.client
import socket

from local_stack.messages import StackError
from local_stack.plan import Page

# Celery logs "<node name> ready." when its consumer listens to its queues, and never before. That needs no
# remote control and no polling of the broker.
WORKER_READY_LINE = " ready."
REQUEST_TIMEOUT_SECONDS = 2.0


def page_answers(page: Page) -> bool:
    connection = http.client.HTTPConnection(page.host, page.port, timeout=REQUEST_TIMEOUT_SECONDS)
    try:
        connection.request("GET", page.path)
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def require_free_port(host: str, port: int, variable: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As the web server does it: connections that are merely closing do not keep a port busy.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise StackError(
                f"cannot listen on {host}:{port} ({error.strerror}): stop what uses it, or choose another port: "
                f"{variable}={port + 1 if port < 65535 else 5001}"
            ) from None


def free_port(host: str) -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((host, 0))
        port = probe.getsockname()[1]
        assert isinstance(port, int)
        return port
