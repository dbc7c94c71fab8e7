"""python -m examples.parking_booking.booking_service.web"""

from examples.parking_booking.booking_service.worker import orchestrator
from examples.parking_booking.health import serve_health

if __name__ == "__main__":
    serve_health(orchestrator)
