"""Contracts: AsyncAPI 3 documents made from the very classes that validate the messages at run time.

Here belong reading a service's wiring into a document, and everything that is done with documents: validating,
comparing, drawing and serving them. Only `specification` knows services; the rest works on plain documents, so that it
works on files as well. Needs the extra `sagas-framework[asyncapi]`.
"""

from sagas_framework.errors import ConfigurationError

try:
    import asyncapi_python as _documents  # noqa: F401
    import yaml as _yaml  # noqa: F401
except ModuleNotFoundError as missing:
    raise ConfigurationError(
        f"{missing.name} is not installed, which documents are made with: pip install 'sagas-framework[asyncapi]'"
    ) from missing

from sagas_framework.asyncapi.specification import Specification

__all__ = ["Specification"]
