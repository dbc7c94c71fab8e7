"""Taking part in sagas: handlers, and the barrier that lets each step's work happen effectively once.

Does not belong here: what an orchestrator does. A participant knows commands and replies, never sagas' definitions.
"""
