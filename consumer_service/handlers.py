"""What the consumer service does when a saga asks."""

from consumer_service.models import Consumer, ConsumerStatus
from messaging.consumer_service_messaging import verify_consumer_details_message
from sagas_framework import HandlerContext, handles


class UnknownConsumer(Exception):
    """Nobody with this id has ever signed up."""


class ConsumerSuspended(Exception):
    """The consumer is known, but may not order."""


@handles(verify_consumer_details_message.message, database_only=True)
def verify_consumer_details(payload: verify_consumer_details_message.Payload, step: HandlerContext) -> None:
    consumer = step.session.get(Consumer, payload.consumer_id)
    if consumer is None:
        raise UnknownConsumer(f"There is no consumer {payload.consumer_id}")
    if consumer.status == ConsumerStatus.SUSPENDED:
        raise ConsumerSuspended(f"Consumer {consumer.id} is suspended and may not order")
