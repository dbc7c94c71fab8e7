"""Where the participants of the order service's sagas send their replies."""

CREATE_ORDER_SAGA_RESPONSE_QUEUE = "create_order_saga_responses"
