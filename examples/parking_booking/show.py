"""Types in the command lines of the three services. Runs beside their workers: `python -m examples.parking_booking`."""

import http.client
import shlex
import subprocess
import sys

from examples.parking_booking.health import DEFAULT_PORTS, HOST, port_of

DONE, REJECTED = 0, 1


def main() -> None:
    print("# A slot is booked and paid for.")
    slot = create_slot("Slot 1")
    type_in(f"booking_service.cli create_booking_request '{slot}'")
    type_in("parking_service.cli parking_slot_list")

    print("\n# Nobody else can book it, and whoever tries changes nothing.")
    type_in(f"booking_service.cli create_booking_request '{slot}'", ends=REJECTED)
    type_in("parking_service.cli parking_slot_list")

    print("\n# A bill is refused: the slot that was blocked meanwhile is available again.")
    slot = create_slot("Slot 2")
    type_in(f"booking_service.cli create_booking_request '{slot}' --hours=24", ends=REJECTED)
    type_in(f"parking_service.cli parking_slot_details '{slot}'")

    print("\n# What each service has written down.")
    type_in("booking_service.cli booking_list")
    type_in("billing_service.cli billing_request_list")

    print("\n# Whether each is well.")
    for service in DEFAULT_PORTS:
        ask_for_health(service)


def create_slot(name: str) -> str:
    first, *_ = type_in(f"parking_service.cli create_parking_slot --name='{name}'").splitlines()
    return first.removeprefix("uuid:").strip()


def type_in(line: str, ends: int = DONE) -> str:
    command = f"-m examples.parking_booking.{line}"
    print(f"$ python {command}")
    ended = subprocess.run(
        [sys.executable, *shlex.split(command)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    print(ended.stdout, end="")
    if ended.returncode != ends:
        sys.exit(f"this has ended with {ended.returncode}, not with {ends}")
    return ended.stdout


def ask_for_health(service: str) -> None:
    print(f"GET http://{HOST}:{port_of(service)}/health")
    connection = http.client.HTTPConnection(HOST, port_of(service))
    connection.request("GET", "/health")
    print(connection.getresponse().read().decode(), end="")
    connection.close()


if __name__ == "__main__":
    main()
