from sqlalchemy import insert

from sagas_framework import EventContext, handles
from tests.support.events import Moved
from tests.support.sagas import orders


@handles(Moved)
def write_down(event: Moved, context: EventContext) -> None:
    context.session.execute(insert(orders).values(note=f"{event.account} {context.number} {event.amount}"))
