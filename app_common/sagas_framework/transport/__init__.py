"""Everything that touches Celery and the broker: settings, the wire format, publishing, gathering arrivals.

Nothing else sends, and nothing else acknowledges. Does not belong here: SQL, and what a message means.
"""
