"""python -m examples.parking_booking.billing_service.web"""

from examples.parking_booking.billing_service.worker import participant
from examples.parking_booking.health import serve_health

if __name__ == "__main__":
    serve_health(participant)
