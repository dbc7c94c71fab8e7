from sagas_framework import HandlerContext, handles
from tests.support.shop import messages


@handles(messages.pack, database_only=True)
def pack(payload: messages.Pack, step: HandlerContext) -> None:
    """There is nothing to it."""
