"""Who has been invited by a user, and who of them has come. It is for the record: what led to a reward can be read."""

from dataclasses import dataclass, field

from examples.user_registration.messages import FriendInvited, Mail, UserVerified, send_mail
from sagas_framework import EventSourcedProcessManager, applies, handles


@dataclass(frozen=True)
class Asked:
    inviter: str
    inviter_email: str
    friend_email: str


@dataclass(frozen=True)
class Joined:
    friend_email: str


@dataclass
class Invited:
    inviter: str = ""
    inviter_email: str = ""
    joined: list[str] = field(default_factory=list)


class Invitations(EventSourcedProcessManager[Invited]):
    commands = (send_mail,)

    @handles(FriendInvited, saga_key="inviter", event_key="user_id", starts="if_none")
    def ask(self, event: FriendInvited) -> None:
        self.record(Asked(event.name, event.email, event.friend_email))
        self.keys.set("inviter", event.user_id)
        self.keys.add("invited", event.friend_email)  # any of them may be the next to come
        self.send(send_mail, Mail(event.friend_email, f"{event.name} invites you"))

    @handles(UserVerified, saga_key="invited", event_key="email")
    def thank(self, event: UserVerified) -> None:
        self.record(Joined(event.email))
        self.keys.remove("invited", event.email)
        if not self.keys.get("invited"):
            self.send(send_mail, Mail(self.state.inviter_email, f"Thank you for {len(self.state.joined)} new users"))
            self.end()

    @applies(Asked)
    def on_asked(self, asked: Asked) -> None:
        self.state.inviter, self.state.inviter_email = asked.inviter, asked.inviter_email

    @applies(Joined)
    def on_joined(self, joined: Joined) -> None:
        self.state.joined.append(joined.friend_email)
