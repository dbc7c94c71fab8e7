"""Running sagas: starting them, applying what arrives in one transaction a batch, looking after what is due.

The engine decides; this package performs what it decides. Does not belong here: SQL statements, Celery's innards.
"""
