"""Bare Celery: a task for every message of the saga and nothing else. Sagas of one task a message cannot beat it."""

from celery_workers import measure_services

if __name__ == "__main__":
    measure_services("celery_pingpong", "pingpong")
