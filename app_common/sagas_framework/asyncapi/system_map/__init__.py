"""All services on one page, with the messages between them: from their documents alone.

Belongs here: who sends what to whom (`model`), found in documents (`reading`), and its three forms. Does not belong
here: judging a document (that is `validate`), and comparing two versions of one (that is `diff`).
"""

from sagas_framework.asyncapi.system_map.mermaid import to_mermaid
from sagas_framework.asyncapi.system_map.model import Flow, Message, Service, SystemMap
from sagas_framework.asyncapi.system_map.reading import system_map
from sagas_framework.asyncapi.system_map.svg import to_svg
from sagas_framework.asyncapi.system_map.text import to_text

__all__ = ["Flow", "Message", "Service", "SystemMap", "system_map", "to_mermaid", "to_svg", "to_text"]
