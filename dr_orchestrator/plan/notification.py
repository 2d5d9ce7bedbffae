"""Who is told when something needs a person, as a plan or the machine's settings write it."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Literal, Self, get_args

from pydantic import Field, field_validator, model_validator

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
WAYS = ("to", "email", "url", "webhook", "ping")
_PING_HAS_NO = ("on", "remind_every", "after")
_ADDRESS = re.compile(r"[^\s@,;<>\"]+@[^\s@,;<>\"]+")


class Notification(Section):
    """One way to tell somebody. Exactly one of the first five."""

    to: Identifier | None = Field(
        default=None, description="a contact of the plan that has an `email`; not in settings"
    )
    email: str | None = Field(default=None, description="an address that is no contact's")
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

    @field_validator("email")
    @classmethod
    def _is_an_address(cls, value: str | None) -> str | None:
        if value is not None and not _ADDRESS.fullmatch(value):
            raise mistake("is no e-mail address", "write it as name@example.com")
        return value

    @field_validator("ticket")
    @classmethod
    def _is_a_template(cls, value: str | None) -> str | None:
        if value is not None and (why := ticket_mistake(value)):
            raise mistake(why, "docs/howto/notifications.md shows one")
        return value

    @property
    def secret(self) -> SecretReference | None:
        """Where the address is, for all but e-mail."""
        return self.url or self.webhook or self.ping
