"""saga-framework: the example application's three participants and its orchestrator, one worker process each."""

from celery_workers import measure_services

if __name__ == "__main__":
    measure_services("saga_framework", "create_order_saga")
