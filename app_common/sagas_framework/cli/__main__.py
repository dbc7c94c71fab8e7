"""`python -m sagas_framework.cli`, for where the console script is not installed."""

from sagas_framework.cli import main

main()
