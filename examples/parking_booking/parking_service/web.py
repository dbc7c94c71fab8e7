"""python -m examples.parking_booking.parking_service.web"""

from examples.parking_booking.health import serve_health
from examples.parking_booking.parking_service.worker import participant

if __name__ == "__main__":
    serve_health(participant)
