from sqlalchemy import Column, Integer, MetaData, String, Table, insert

from sagas_framework import EventContext, handles
from tests.support.desk.messages import GuestArrived

desk_metadata = MetaData()
guests = Table(
    "desk_guest",
    desk_metadata,
    Column("line", Integer, primary_key=True),
    Column("guest_id", Integer),
    Column("name", String),
)


@handles(GuestArrived)
def write_down(event: GuestArrived, context: EventContext) -> None:
    context.session.execute(insert(guests).values(guest_id=event.guest_id, name=event.name))
