"""Pictures, whatever they show: a style sheet, icons, lines of text that fit, and what Mermaid can read.

Belongs here: what is the same in every picture. Does not belong here: what is drawn and where it stands; that is for
those who know the subject (`operations.diagrams` the sagas, `asyncapi.system_map` the services).
"""
