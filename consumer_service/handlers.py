"""What the consumer service does when a saga asks."""

from sqlalchemy import bindparam, select

from consumer_service.models import Consumer, ConsumerStatus
from messaging.consumer_service_messaging import verify_consumer_details_message
from sagas_framework import HandlerContext, Refusal, handles


class UnknownConsumer(Refusal):
    """Nobody with this id has ever signed up."""


class ConsumerSuspended(Refusal):
    """The consumer is known, but may not order."""


@handles(verify_consumer_details_message.message, database_only=True)
def verify_consumer_details(payload: verify_consumer_details_message.Payload, step: HandlerContext) -> None:
    status = step.session.scalar(_STATUS_OF, {"consumer_id": payload.consumer_id})
    if status is None:
        raise UnknownConsumer(f"There is no consumer {payload.consumer_id}")
    if status == ConsumerStatus.SUSPENDED:
        raise ConsumerSuspended(f"Consumer {payload.consumer_id} is suspended and may not order")


_STATUS_OF = select(Consumer.status).where(Consumer.id == bindparam("consumer_id"))
