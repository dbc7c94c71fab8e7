"""What the consumer service does with an order that was placed."""

from examples.order_choreography.events import ConsumerRefused, ConsumerVerified, OrderPlaced
from sagas_framework import EventContext, handles

SUSPENDED = range(1, 50)


@handles(OrderPlaced)
def verify_consumer(event: OrderPlaced, context: EventContext) -> None:
    if event.consumer_id in SUSPENDED:
        context.publish(ConsumerRefused(event.order_id, f"consumer {event.consumer_id} is suspended"))
    else:
        context.publish(ConsumerVerified(event.order_id, event.dish, event.card_id, event.amount))
