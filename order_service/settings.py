"""The order service's environment, read in one place."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from sagas_framework import Broker
from sagas_framework.environment import read_broker, read_database_url, read_number, read_port

# Those with a contract that the page leads to, wherever `<SERVICE>_DOCS_PORT` says that it is served.
SERVICES = ("order_service", "consumer_service", "restaurant_service", "accounting_service")


@dataclass(frozen=True)
class Settings:
    broker: Broker
    database_url: str
    host: str
    port: int
    docs_ports: Mapping[str, int]
    """Where the contract of each service is served, on the host of the page; the services without one are left out."""
    ask_again_after_seconds: float
    give_up_after_seconds: float


def from_environment() -> Settings:
    return Settings(
        broker=read_broker(),
        database_url=read_database_url("ORDER_SERVICE"),
        # Loopback unless somebody says otherwise: the page has no login, and launching a saga is a write.
        host=os.environ.get("ORDER_SERVICE_HOST") or "127.0.0.1",
        port=read_port("ORDER_SERVICE_PORT", 5000),
        docs_ports=_read_docs_ports(),
        ask_again_after_seconds=read_number("ORDER_SERVICE_ASK_AGAIN_AFTER_SECONDS", 30, lowest=0.1),
        give_up_after_seconds=read_number("ORDER_SERVICE_GIVE_UP_AFTER_SECONDS", 3600, lowest=0.1),
    )


def _read_docs_ports() -> dict[str, int]:
    """No port is guessed: whoever runs the page by hand serves no contracts, and a link would lead nowhere."""
    variables = {service: f"{service.upper()}_DOCS_PORT" for service in SERVICES}
    return {service: read_port(name, 0) for service, name in variables.items() if os.environ.get(name)}
