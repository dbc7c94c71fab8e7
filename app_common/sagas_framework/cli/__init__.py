"""The command line `sagas`: what an operator types at three in the morning.

Belongs here: reading arguments, finding the application, printing. Does not belong here: anything that a page or
another program could want too; that is `sagas_framework.operations`.
"""

from sagas_framework.cli.main import main

__all__ = ["main"]
