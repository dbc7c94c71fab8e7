"""Wiring of the mail service's worker."""

from examples.user_registration.mail_service import handlers
from examples.user_registration.messages import MAILS_QUEUE, MailBounced
from sagas_framework import create_participant
from sagas_framework.environment import read_broker, read_database_url

participant = create_participant(
    "mail_service",
    broker=read_broker(),
    database_url=read_database_url("MAIL_SERVICE"),
    queue=MAILS_QUEUE,
    handlers=[handlers],
    publishes=[MailBounced],
)
app = participant.app
