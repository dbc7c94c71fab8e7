"""python -m examples.order_choreography.consumers.prepare_database"""

from examples.order_choreography.consumers.worker import subscriber
from sagas_framework import upgrade_database

if __name__ == "__main__":
    upgrade_database(subscriber.engine)
