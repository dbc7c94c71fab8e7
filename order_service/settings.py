"""The order service's environment, read in one place."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from sagas_framework import Broker
from sagas_framework.environment import read_broker, read_database_url, read_number, read_port

# By whose name contracts are shown on the page, and the ports where they are served when nothing else is said.
DEFAULT_DOCS_PORTS = {
    "order_service": 8081,
    "consumer_service": 8082,
    "restaurant_service": 8083,
    "accounting_service": 8084,
}


@dataclass(frozen=True)
class Settings:
    broker: Broker
    database_url: str
    host: str
    port: int
    docs_ports: Mapping[str, int]
    """Where the contract of each service is served, on the host of the page."""
    ask_again_after_seconds: float
    give_up_after_seconds: float


def from_environment() -> Settings:
    return Settings(
        broker=read_broker(),
        database_url=read_database_url("ORDER_SERVICE"),
        # Loopback unless somebody says otherwise: the page has no login, and launching a saga is a write.
        host=os.environ.get("ORDER_SERVICE_HOST") or "127.0.0.1",
        port=read_port("ORDER_SERVICE_PORT", 5000),
        docs_ports={
            service: read_port(f"{service.upper()}_DOCS_PORT", port) for service, port in DEFAULT_DOCS_PORTS.items()
        },
        ask_again_after_seconds=read_number("ORDER_SERVICE_ASK_AGAIN_AFTER_SECONDS", 30, lowest=0.1),
        give_up_after_seconds=read_number("ORDER_SERVICE_GIVE_UP_AFTER_SECONDS", 3600, lowest=0.1),
    )
