"""`@handles` refuses what it is told of a command and means something for events only, and the other way round."""

import re
from dataclasses import dataclass
from typing import Any

import pytest

from sagas_framework import Command, Event, handles
from sagas_framework.errors import DefinitionError


@dataclass(frozen=True)
class Up:
    user_id: str


Event("handling.up", source="handling", payload=Up, key="user_id", subscribers=["there"])
do = Command("handling.do", queue="there", payload=Up)


@pytest.mark.parametrize(
    ("what", "option", "because"),
    [
        (do, {"starts": "always"}, "says which sagas of a process manager an event is for, and 'handling.do' is a"),
        (do, {"saga_key": "user"}, "says which sagas of a process manager an event is for, and 'handling.do' is a"),
        (do, {"event_key": "user_id"}, "says which sagas of a process manager an event is for, and 'handling.do' is a"),
        (Up, {"transient": (ValueError,)}, "is said of a command, and Up is an event; leave it out"),
        (Up, {"database_only": True}, "is said of a command, and Up is an event; leave it out"),
    ],
)
def test_what_means_nothing_there_is_refused_with_its_place(what: Any, option: dict[str, Any], because: str) -> None:
    (name,) = option
    with pytest.raises(DefinitionError) as raised:
        handles(what, **option)
    said = rf"@handles\(\.\.\., {name}=\.\.\.\) \(\S*test_handling.py:\d+\): {name} {because}"
    assert re.search(said, str(raised.value)), str(raised.value)


def test_what_is_said_as_it_is_anyway_is_fine() -> None:
    untouched: Any = lambda payload, step: None  # noqa: E731
    handles(do, starts="never", saga_key=None)(untouched)  # type: ignore[call-overload]
    handles(Up, transient=(), database_only=False)(untouched)  # type: ignore[call-overload]
