"""The order service's environment, read in one place."""

import os
from dataclasses import dataclass

from sagas_framework import Broker
from sagas_framework.environment import read_broker, read_database_url, read_number, read_port


@dataclass(frozen=True)
class Settings:
    broker: Broker
    database_url: str
    host: str
    port: int
    ask_again_after_seconds: float
    give_up_after_seconds: float


def from_environment() -> Settings:
    return Settings(
        broker=read_broker(),
        database_url=read_database_url("ORDER_SERVICE"),
        # Loopback unless somebody says otherwise: the page has no login, and launching a saga is a write.
        host=os.environ.get("ORDER_SERVICE_HOST") or "127.0.0.1",
        port=read_port("ORDER_SERVICE_PORT", 5000),
        ask_again_after_seconds=read_number("ORDER_SERVICE_ASK_AGAIN_AFTER_SECONDS", 30, lowest=0.1),
        give_up_after_seconds=read_number("ORDER_SERVICE_GIVE_UP_AFTER_SECONDS", 3600, lowest=0.1),
    )
