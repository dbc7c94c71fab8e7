"""The accounting service's environment, read in one place."""

from dataclasses import dataclass

from sagas_framework.environment import read_broker_url, read_database_url


@dataclass(frozen=True)
class Settings:
    broker_url: str
    database_url: str


def from_environment() -> Settings:
    return Settings(
        broker_url=read_broker_url(),
        database_url=read_database_url("ACCOUNTING_SERVICE"),
    )
