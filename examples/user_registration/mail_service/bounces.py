"""What the mail server tells when a mail could not be delivered."""

from examples.user_registration.mail_service.worker import participant
from examples.user_registration.messages import MailBounced


def report_bounce(address: str) -> None:
    with participant.sessions.begin() as session:
        participant.publish(MailBounced(address), session=session)
