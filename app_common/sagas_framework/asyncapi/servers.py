"""The servers of a document: the brokers that are configured, without what nobody else must know."""

from __future__ import annotations

from urllib.parse import SplitResult, quote, unquote

from sagas_framework.asyncapi.document import BrokerServer, Schema
from sagas_framework.transport.celery_app import IN_ONE_PROCESS, Broker

_PORTS = {"amqp": 5672, "amqps": 5671, "redis": 6379, "rediss": 6379}


def servers_of(broker: Broker) -> list[BrokerServer]:
    """`broker`; where several are configured, `broker_2` and so on are those that stand in for it. None for a broker
    that nobody else can reach."""
    reachable = [url for url in broker.addresses if url.scheme != IN_ONE_PROCESS]
    return [
        _server_of(url, broker, "broker" if number == 1 else f"broker_{number}")
        for number, url in enumerate(reachable, start=1)
    ]


def _server_of(url: SplitResult, broker: Broker, key: str) -> BrokerServer:
    scheme, _, through_socket = url.scheme.partition("+")
    protocol = scheme.removeprefix("py")
    name = unquote(url.path.removeprefix("/"))
    # Not `netloc`: that would tell the password.
    host = f"[{url.hostname}]" if ":" in (url.hostname or "") else url.hostname or "localhost"
    address = f"{host}:{url.port or _PORTS[protocol]}"
    if through_socket:
        address, pathname, description = "localhost", unquote(url.path), "The Redis behind a socket of this machine."
    elif protocol.startswith("redis"):
        number = quote(name.strip("/") or "0", safe="")
        pathname, description = f"/{number}", "Redis: a queue is a list of its name."
    else:
        kind = "quorum queues" if broker.quorum_queues else "classic durable queues"
        virtual_host = name or "/"
        pathname = "/" if virtual_host == "/" else f"/{quote(virtual_host, safe='')}"
        description = f"RabbitMQ, virtual host `{virtual_host}`, {kind}."
    by_name = [{"type": "userPassword"}] if url.username or url.password else []
    bindings: dict[str, Schema] = {"redis" if protocol.startswith("redis") else "amqp": {}}
    return BrokerServer(key, address, pathname, protocol, description, by_name, bindings)
