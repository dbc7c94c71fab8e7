"""The restaurant service's environment, read in one place."""

from dataclasses import dataclass

from sagas_framework import Broker
from sagas_framework.environment import read_broker, read_database_url, read_number


@dataclass(frozen=True)
class Settings:
    broker: Broker
    database_url: str
    transient_approvals: int


def from_environment() -> Settings:
    return Settings(
        broker=read_broker(),
        database_url=read_database_url("RESTAURANT_SERVICE"),
        transient_approvals=transient_approvals(),
    )


def transient_approvals() -> int:
    """How many attempts to approve a ticket meet a busy kitchen before one gets through; 0 for never."""
    return int(read_number("RESTAURANT_SERVICE_TRANSIENT_APPROVALS", 0))
