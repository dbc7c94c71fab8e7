"""Wiring of the agency's worker."""

from examples.trip_package.agency.buy_trip_package_saga import BuyTripPackage
from sagas_framework import create_orchestrator
from sagas_framework.environment import read_broker, read_database_url

orchestrator = create_orchestrator(
    "agency",
    broker=read_broker(),
    database_url=read_database_url("AGENCY"),
    sagas=[BuyTripPackage],
)
app = orchestrator.app
