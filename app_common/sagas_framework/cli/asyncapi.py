"""Stub of the lead's group."""

from __future__ import annotations

import click

from sagas_framework.cli.asyncapi_serve import serve


@click.group()
def asyncapi() -> None:
    """Documents."""


asyncapi.add_command(serve)
