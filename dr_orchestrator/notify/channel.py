"""Who is told: the entries of `notify`, of a plan and of the machine, each under a lasting name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from dr_orchestrator.core.problem import Problem
from dr_orchestrator.plan.model import Plan
from dr_orchestrator.plan.notification import Notification

UNDELIVERED = "undelivered/"
"""How the key of a problem begins that is about a channel; its name follows."""


@dataclass(frozen=True, kw_only=True)
class Channel:
    """One entry of `notify`."""

    name: str
    """By what it says, without its secret; two of one name are numbered."""
    spec: Notification
    place: str
    """Where it leads, without its secret: what leads to one place is reached or not together."""
    address: str = ""
    """Of e-mail."""

    def hears(self, problem: Problem) -> bool:
        """Return whether it is told of such a problem.

        That it could not be reached itself it is told in any case: so it is tried again.
        """
        if problem.key == f"{UNDELIVERED}{self.name}":
            return True
        systems = self.spec.systems
        return problem.kind.value in self.spec.on and (
            not systems or not problem.system or problem.system in systems
        )


def channels_of(plan: Plan, of_machine: Iterable[Notification]) -> tuple[Channel, ...]:
    """Return who is told of what is wrong with a practice, its own people first."""
    contacts = {name: contact.email or "" for name, contact in plan.contacts.items()}
    return tuple(_numbered(_channel(spec, contacts) for spec in (*plan.notify, *of_machine)))


def channels_of_machine(of_machine: Iterable[Notification]) -> tuple[Channel, ...]:
    """Return who is told of what is wrong with this machine."""
    return tuple(_numbered(_channel(spec, {}) for spec in of_machine))


def _channel(spec: Notification, contacts: dict[str, str]) -> Channel:
    if spec.by_mail_server:
        name = spec.to or spec.email or ""
        address = spec.email or contacts.get(name, "")
        return Channel(name=name, spec=spec, place=address, address=address)
    if spec.sns is not None:
        return Channel(name=f"sns ({spec.sns.name})", spec=spec, place=spec.sns.topic)
    if spec.ses is not None:
        to = spec.ses.to
        return Channel(name=f"ses ({to})", spec=spec, place=f"ses:{to}", address=to)
    way = "url" if spec.url else "webhook" if spec.webhook else "ping"
    place = str(spec.secret)
    return Channel(name=f"{way} ({place})", spec=spec, place=place)


def _numbered(channels: Iterable[Channel]) -> Iterator[Channel]:
    seen: Counter[str] = Counter()
    for each in channels:
        seen[each.name] += 1
        number = seen[each.name]
        name = each.name if number == 1 else f"{each.name} {number}"
        yield Channel(name=name, spec=each.spec, place=each.place, address=each.address)
