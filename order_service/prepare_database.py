"""Make the order service's database ready. Repeating it is harmless.

python -m order_service.prepare_database
"""

from sqlalchemy import Engine

from order_service.models import Base
from sagas_framework import upgrade_database


def prepare(engine: Engine) -> None:
    upgrade_database(engine, Base.metadata)


def main() -> None:
    from order_service.worker import orchestrator  # reads the environment, so not before it is wanted

    prepare(orchestrator.engine)


if __name__ == "__main__":
    main()
