from sqlalchemy import Column, Integer, MetaData, Table, insert

from sagas_framework import EventContext, handles
from tests.support.shop.messages import OrderPacked

metadata = MetaData()
noted = Table("noted", metadata, Column("id", Integer, primary_key=True), Column("order_id", Integer, nullable=False))


@handles(OrderPacked)
def note(event: OrderPacked, context: EventContext) -> None:
    context.session.execute(insert(noted).values(order_id=event.order_id))
