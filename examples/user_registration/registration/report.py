"""The staff is told of every five registrations. One report is open at a time; the next begins with the next user."""

from dataclasses import dataclass

from examples.user_registration.messages import (
    Mail,
    RegistrationCancelled,
    UserRegistered,
    UserVerified,
    send_mail,
)
from sagas_framework import ProcessManager, handles

STAFF = "staff@example.org"
ENOUGH = 5


@dataclass
class Counted:
    registered: int = 0
    verified: int = 0
    cancelled: int = 0


class RegistrationReport(ProcessManager[Counted]):
    commands = (send_mail,)

    @handles(UserRegistered, starts="if_none")
    def count_registered(self, event: UserRegistered) -> None:
        self.state.registered += 1

    @handles(UserVerified)
    def count_verified(self, event: UserVerified) -> None:
        self.state.verified += 1
        self.report_when_enough()

    @handles(RegistrationCancelled)
    def count_cancelled(self, event: RegistrationCancelled) -> None:
        self.state.cancelled += 1
        self.report_when_enough()

    def report_when_enough(self) -> None:
        if self.state.verified + self.state.cancelled == ENOUGH:
            counted = f"{self.state.registered} registered, {self.state.verified} verified"
            self.send(send_mail, Mail(STAFF, f"{counted}, {self.state.cancelled} cancelled"))
            self.end()
