"""The consumer service's environment, read in one place."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from sagas_framework import Broker
from sagas_framework.environment import read_broker, read_database_url

LOCAL = Path(__file__).resolve().parents[1] / ".local"
"""Where the local stack keeps its Redis and its databases: the default for whoever sets nothing."""


@dataclass(frozen=True)
class Settings:
    broker: Broker
    database_url: str


def from_environment() -> Settings:
    return Settings(
        broker=read_broker(f"redis+socket://{quote(str(LOCAL / 'redis.sock'))}"),
        database_url=read_database_url("CONSUMER_SERVICE", f"sqlite:///{LOCAL / 'consumer_service.sqlite3'}"),
    )
