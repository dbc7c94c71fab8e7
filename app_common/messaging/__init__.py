"""The published language of the four services: what they say to each other, one file a message.

A message file holds the name of the task, frozen dataclasses of what travels, and the `Command` that ties
them to a queue. Nothing else belongs here: no behaviour, no settings, no service's code. A change in one of
these files is a change of a contract between teams.
"""
