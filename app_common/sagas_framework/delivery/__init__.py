"""What runs beside the consumer inside every worker: the due loop and the outbox relay, on a thread of their own.

No beat process, no extra service. Does not belong here: what is to be done with a saga that is due.
"""
