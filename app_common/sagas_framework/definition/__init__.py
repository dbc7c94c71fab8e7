"""What a saga is: its steps, their kinds, how long to wait and how often to try.

Belongs here: declarations and their validation when they are built. Does not belong here: running anything.
"""
