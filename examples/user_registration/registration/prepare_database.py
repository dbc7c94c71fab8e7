"""python -m examples.user_registration.registration.prepare_database"""

from examples.user_registration.registration.worker import subscriber
from sagas_framework import upgrade_database

if __name__ == "__main__":
    upgrade_database(subscriber.engine)
