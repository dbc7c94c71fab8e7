"""Process managers: sagas that listen to events, are found by keys, and send commands.

Belongs here: what an application writes of one, what is wrong with it, and what an event makes of its sagas. Does not
belong here: how events arrive in order and once, and how what is sent goes out.
"""
