"""The accounting service's environment, read in one place."""

from dataclasses import dataclass

from sagas_framework import Broker
from sagas_framework.environment import read_broker, read_database_url


@dataclass(frozen=True)
class Settings:
    broker: Broker
    database_url: str


def from_environment() -> Settings:
    return Settings(
        broker=read_broker(),
        database_url=read_database_url("ACCOUNTING_SERVICE"),
    )
