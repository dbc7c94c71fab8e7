"""How tasks are named. A reply's task name follows from its command's."""

from __future__ import annotations

import re

MAX_SOURCE_CHARACTERS = 100
SOURCE_PATTERN = r"^(?!amq\.)[A-Za-z0-9_-][A-Za-z0-9_.-]*$"
_SOURCE = re.compile(SOURCE_PATTERN)
_SUCCESS = ".response.success"
_FAILURE = ".response.failure"

RECEIPTS_TASK = "sagas.receipts"
"""What a subscriber sends to whoever published the events that it has taken in."""


def success_task_name(task_name: str) -> str:
    """`restaurant_service.create_ticket` -> `restaurant_service.create_ticket.response.success`"""
    return task_name + _SUCCESS


def failure_task_name(task_name: str) -> str:
    """`restaurant_service.create_ticket` -> `restaurant_service.create_ticket.response.failure`"""
    return task_name + _FAILURE


def run_child_task_name(saga: str) -> str:
    """What an orchestrator sends itself to start a saga that is another's step."""
    return f"sagas.run_child.{saga}"


def undo_child_task_name(saga: str) -> str:
    """What an orchestrator sends itself to undo such a saga."""
    return f"sagas.undo_child.{saga}"


def is_source(name: object) -> bool:
    """Whether a service can be called so where events say who has published them: a queue is named after it, which any
    broker has to take."""
    return isinstance(name, str) and len(name) <= MAX_SOURCE_CHARACTERS and _SOURCE.fullmatch(name) is not None


def receipts_queue_name(source: str) -> str:
    """`user_service` -> `user_service.receipts`"""
    return f"{source}.receipts"


def answers_queue_name(subscriber: str) -> str:
    """`registration` -> `registration.answers`: to the commands of its process managers, which nobody else knows. The
    processes of a service may share a queue of receipts."""
    return f"{subscriber}.answers"
