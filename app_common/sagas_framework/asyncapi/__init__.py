"""Contracts: AsyncAPI 3 documents made from the very classes that validate the messages at run time.

Here belong reading a service's wiring into a document, and everything that is done with documents: validating,
comparing, drawing and serving them. Only `specification` knows services; the rest works on plain documents, so that it
works on files as well. Needs the extra `sagas-framework[asyncapi]`.
"""

from sagas_framework.asyncapi.specification import Specification

__all__ = ["Specification"]
