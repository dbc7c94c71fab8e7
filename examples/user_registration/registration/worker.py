"""Wiring of the registration's worker."""

from examples.user_registration.messages import REGISTRATION_QUEUE
from examples.user_registration.registration.invitations import Invitations
from examples.user_registration.registration.report import RegistrationReport
from examples.user_registration.registration.user_registration import UserRegistration
from sagas_framework import create_subscriber
from sagas_framework.environment import read_broker, read_database_url

subscriber = create_subscriber(
    "registration",
    broker=read_broker(),
    database_url=read_database_url("REGISTRATION"),
    queue=REGISTRATION_QUEUE,
    process_managers=[UserRegistration, Invitations, RegistrationReport],
)
app = subscriber.app
