"""The server of a document: the broker that is configured, without what nobody else must know."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from sagas_framework.asyncapi.document import BrokerServer, Schema
from sagas_framework.transport.celery_app import Broker

_PORTS = {"amqp": 5672, "amqps": 5671, "redis": 6379, "rediss": 6379}


def server_of(broker: Broker) -> BrokerServer:
    url = urlsplit(broker.url)
    scheme, _, through_socket = url.scheme.partition("+")
    protocol = scheme.removeprefix("py")
    by_name = [{"type": "userPassword"}] if url.username or url.password else []
    if through_socket:
        return _server(protocol, "localhost", unquote(url.path), "The Redis behind a socket of this machine.", by_name)
    # Not `netloc`: that would tell the password.
    host = f"{url.hostname or 'localhost'}:{url.port or _PORTS.get(protocol, 0)}"
    path = unquote(url.path.removeprefix("/"))
    if protocol.startswith("redis"):
        return _server(protocol, host, f"/{path or '0'}", "Redis: a queue is a list of its name.", by_name)
    kind = "quorum queues" if broker.quorum_queues else "classic durable queues"
    virtual_host = path or "/"
    return _server(protocol, host, virtual_host, f"RabbitMQ, virtual host `{virtual_host}`, {kind}.", by_name)


def _server(protocol: str, host: str, pathname: str, description: str, security: list[dict[str, str]]) -> BrokerServer:
    bindings: dict[str, Schema] = {"redis" if protocol.startswith("redis") else "amqp": {}}
    return BrokerServer("broker", host, pathname, protocol, description, security, bindings)
