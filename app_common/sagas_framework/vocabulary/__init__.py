"""The words both sides of the wire share: commands, replies, failures, identities, names of tasks.

Belongs here: what orchestrators and participants must agree on, and how payloads become JSON and back.
Does not belong here: anything that talks to a broker or a database.
"""
