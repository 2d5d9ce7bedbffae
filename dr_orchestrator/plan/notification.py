"""Who is told when something needs a person, as a plan or the machine's settings write it."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Literal, Self, get_args

from pydantic import AfterValidator, Field, field_validator, model_validator

from dr_orchestrator.plan.quantity import PositiveDuration, mistake
from dr_orchestrator.plan.secret_reference import SecretReference
from dr_orchestrator.plan.section import Identifier, Section
from dr_orchestrator.plan.ticket import ticket_mistake

Event = Literal[
    "failure",
    "breach",
    "never_started",
    "test_overdue",
    "suspicious",
    "undelivered",
    "site",
    "recovery",
]
WAYS = ("to", "email", "url", "webhook", "ping", "sns", "ses")
_PING_HAS_NO = ("on", "remind_every", "after")
_ADDRESS = re.compile(r"[^\s@,;<>\"]+@[^\s@,;<>\"]+")
_TOPIC = re.compile(r"arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_.-]+", re.ASCII)


def _address(value: str) -> str:
    if not _ADDRESS.fullmatch(value):
        raise mistake("is no e-mail address", "write it as name@example.com")
    return value


Address = Annotated[str, AfterValidator(_address)]
"""`name@example.com`."""


class Sns(Section):
    """A topic of Amazon SNS: whoever subscribed to it is told, by e-mail, SMS or otherwise."""

    topic: str = Field(description="ARN of the topic, as arn:aws:sns:us-east-2:123456789012:dro")
    aws_profile: str | None = Field(
        default=None, min_length=1, description="profile in ~/.aws/credentials"
    )

    @field_validator("topic")
    @classmethod
    def _is_a_topic(cls, value: str) -> str:
        if not _TOPIC.fullmatch(value):
            raise mistake(
                "is no ARN of a topic", "write it as arn:aws:sns:us-east-2:123456789012:dro"
            )
        return value

    @property
    def region(self) -> str:
        """Where the topic is."""
        return self.topic.split(":")[3]

    @property
    def name(self) -> str:
        """What the topic is called."""
        return self.topic.split(":")[5]


class Ses(Section):
    """An e-mail by Amazon SES."""

    to: Address = Field(description="who is told")
    sender: Address = Field(alias="from", description="the address we write from: verified in SES")
    region: str | None = Field(
        default=None, min_length=1, description="of SES; the profile's unless stated"
    )
    aws_profile: str | None = Field(
        default=None, min_length=1, description="profile in ~/.aws/credentials"
    )


class Notification(Section):
    """One way to tell somebody. Exactly one of the first seven."""

    to: Identifier | None = Field(
        default=None, description="a contact of the plan that has an `email`; not in settings"
    )
    email: Address | None = Field(default=None, description="an address that is no contact's")
    url: SecretReference | None = Field(
        default=None, description="where an apprise URL is: chat, SMS, push and many more"
    )
    webhook: SecretReference | None = Field(
        default=None, description="where a URL is that takes a POST of our JSON"
    )
    ping: SecretReference | None = Field(
        default=None,
        description="where the URL of a dead-man's switch is: told of each backup's start, success "
        "and failure, so that silence is noticed",
    )
    sns: Sns | None = Field(default=None, description="a topic of Amazon SNS")
    ses: Ses | None = Field(default=None, description="an e-mail by Amazon SES")
    on: tuple[Event, ...] = Field(
        default=get_args(Event), min_length=1, description="what it is told of"
    )
    systems: tuple[Identifier, ...] = Field(
        default=(), description="of these only; of all unless stated"
    )
    remind_every: PositiveDuration = Field(
        default=timedelta(hours=24), description="a problem that nobody acknowledged is told again"
    )
    after: PositiveDuration | None = Field(
        default=None,
        description="told only of problems that nobody acknowledged for so long",
    )
    ticket: str | None = Field(
        default=None,
        description="with `webhook`: a Jinja2 template of the JSON that a helpdesk wants",
    )

    @model_validator(mode="after")
    def _is_one_way(self) -> Self:
        ways = [way for way in WAYS if getattr(self, way) is not None]
        if len(ways) != 1:
            raise mistake(
                f"names {len(ways)} ways: one is meant" if ways else "names nobody",
                f"write one of {', '.join(WAYS)}",
            )
        if self.ticket is not None and self.webhook is None:
            raise mistake("`ticket` has no effect", "it is the body of a `webhook`")
        fields = type(self).model_fields  # a plan that is written out states defaults too
        idle = [key for key in _PING_HAS_NO if getattr(self, key) != fields[key].default]
        if self.ping is not None and idle:
            raise mistake(
                f"`{idle[0]}` has no effect", "a `ping` is sent at each backup's start and end"
            )
        return self

    @field_validator("ticket")
    @classmethod
    def _is_a_template(cls, value: str | None) -> str | None:
        if value is not None and (why := ticket_mistake(value)):
            raise mistake(why, "docs/howto/notifications.md shows one")
        return value

    @property
    def secret(self) -> SecretReference | None:
        """Where the address is, where that is a secret."""
        return self.url or self.webhook or self.ping

    @property
    def by_mail_server(self) -> bool:
        """Whether it goes through the mail server of the machine."""
        return self.to is not None or self.email is not None
