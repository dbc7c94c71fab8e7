"""Events between services: told through the outbox until each subscriber has them, taken in once and in order.

Belongs here: publishing, receipts, the inbox of a subscriber with its retries, plain handlers of events. Does not
belong here: what a process manager or a saga makes of an event.
"""
