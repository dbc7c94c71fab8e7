"""From the registration to the end of the time in which its address had to be verified."""

from dataclasses import dataclass

from examples.user_registration.messages import (
    Cancellation,
    EmailCorrected,
    Mail,
    MailBounced,
    TermsChanged,
    UserOfRegistration,
    UserRegistered,
    UserVerificationTimeoutExpired,
    UserVerified,
    cancel_user_registration,
    expire_verification,
    send_mail,
)
from sagas_framework import ProcessManager, handles

PLEASE_VERIFY = "Please verify your address"


@dataclass
class Registration:
    user_id: str = ""
    name: str = ""
    email: str = ""
    verified: bool = False


class UserRegistration(ProcessManager[Registration]):
    commands = (send_mail, expire_verification, cancel_user_registration)

    @handles(UserRegistered, starts="always")
    def begin(self, event: UserRegistered) -> None:
        self.state = Registration(event.user_id, event.name, event.email)
        self.keys.set("user", event.user_id)
        self.keys.set("address", event.email)
        self.send(send_mail, Mail(event.email, PLEASE_VERIFY))
        self.send_later(expire_verification, UserOfRegistration(event.user_id), at=event.verify_until)

    @handles(UserVerified, saga_key="user", event_key="user_id")
    def welcome(self, event: UserVerified) -> None:
        self.state.verified = True
        self.send(send_mail, Mail(event.email, f"Welcome, {self.state.name}"))

    @handles(EmailCorrected, saga_key="user", event_key="user_id")
    def verify_again(self, event: EmailCorrected) -> None:
        self.state.email = event.email
        self.keys.set("address", event.email)  # what comes back from the old one is nobody's now
        self.send(send_mail, Mail(event.email, PLEASE_VERIFY))

    @handles(TermsChanged)
    def tell_of_terms(self, event: TermsChanged) -> None:
        if not self.state.verified:  # they have agreed to the old ones, and see the new ones when they log in
            self.send(send_mail, Mail(self.state.email, f"What you are about to agree to: terms {event.version}"))

    @handles(MailBounced, saga_key="address", event_key="address")
    def give_up(self, event: MailBounced) -> None:
        if not self.state.verified:
            self.cancel(f"no mail reaches {event.address}")

    @handles(UserVerificationTimeoutExpired, saga_key="user", event_key="user_id")
    def expire(self, event: UserVerificationTimeoutExpired) -> None:
        if not self.state.verified:
            self.send(send_mail, Mail(self.state.email, "Your registration was cancelled"))
            self.cancel("not verified in time")
        self.end()

    def cancel(self, reason: str) -> None:
        self.send(cancel_user_registration, Cancellation(self.state.user_id, reason))
        self.end()
