"""User code that begins a savepoint and forgets it takes nobody's work with it."""

from typing import Any

from sqlalchemy import Engine

from sagas_framework import EventContext
from tests.support.events import Ledger, sent_by_bank


def test_a_handler_that_leaves_a_savepoint_open_loses_neither_its_event_nor_those_beside_it(engine: Engine) -> None:
    ledger = Ledger(engine)

    def forget(event: Any, context: EventContext) -> None:
        if event.amount == 1:
            context.session.begin_nested()

    ledger.before = forget
    ledger.take(*sent_by_bank(2, "1"), *sent_by_bank(2, "2"))
    assert ledger.handled == {"account=1": [1, 2], "account=2": [1, 2]}
    assert ledger.streams() == {"account=1": (2, False), "account=2": (2, False)}
