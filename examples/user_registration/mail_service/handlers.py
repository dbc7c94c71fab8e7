"""What the mail service does when a process manager asks. A mail of this example is a row."""

from examples.user_registration.mail_service.models import SentMail
from examples.user_registration.messages import Mail, send_mail
from sagas_framework import HandlerContext, handles


@handles(send_mail, database_only=True)
def send(mail: Mail, step: HandlerContext) -> None:
    step.session.add(SentMail(to=mail.to, subject=mail.subject))
