"""python -m examples.order_choreography.restaurant.prepare_database"""

from examples.order_choreography.restaurant.models import Base
from examples.order_choreography.restaurant.worker import subscriber
from sagas_framework import upgrade_database

if __name__ == "__main__":
    upgrade_database(subscriber.engine, Base.metadata)
