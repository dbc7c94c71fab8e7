"""How tasks are named. A reply's task name follows from its command's."""

from __future__ import annotations

_SUCCESS = ".response.success"
_FAILURE = ".response.failure"


def success_task_name(task_name: str) -> str:
    """`restaurant_service.create_ticket` -> `restaurant_service.create_ticket.response.success`"""
    return task_name + _SUCCESS


def failure_task_name(task_name: str) -> str:
    """`restaurant_service.create_ticket` -> `restaurant_service.create_ticket.response.failure`"""
    return task_name + _FAILURE
