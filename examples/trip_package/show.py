"""Two people buy the same trip. Runs beside the workers: `python -m examples.trip_package`."""

from examples.trip_package.agency.buy_trip_package_saga import BuyTripPackage, TripPackage
from examples.trip_package.agency.worker import orchestrator
from sagas_framework import Operations

BUYERS = ("Maria", "Kevin")
AS_LISTED = ("plane", "hotel", "tourist")


def main() -> None:
    print("\n\n\n".join(trip_of(buyer) for buyer in BUYERS))


def trip_of(buyer: str) -> str:
    trip = orchestrator.run(BuyTripPackage, TripPackage(buyer), raise_on_failure=False)
    trace = Operations(orchestrator).trace(trip.saga_id)
    return f"{buyer} buys a trip package\n\n{in_the_sagas_order(trace)}"


def in_the_sagas_order(trace: str) -> str:
    """A trace tells what happened as it happened, and the three answer in any order."""
    sections = (sorted(section.splitlines(), key=place) for section in trace.split("\n\n"))
    return "\n\n".join("\n".join(lines) for lines in sections)


def place(line: str) -> int:
    return next((number for number, word in enumerate(AS_LISTED) if word in line), 0)


if __name__ == "__main__":
    main()
