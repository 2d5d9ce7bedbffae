"""What the manager puts her name to, how she gives it, and when the next page comes.

What somebody else recorded is never shown as her own signature.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dr_orchestrator.core.sign_off import HowGiven
from dr_orchestrator.plan.model import MANAGER
from dr_orchestrator.report.accepted import unsigned_gaps
from dr_orchestrator.report.model import Signature
from dr_orchestrator.report.say import say
from dr_orchestrator.report.view import MSP

if TYPE_CHECKING:
    from dr_orchestrator.core.sign_off import SignOff
    from dr_orchestrator.report.view import View


def signature(view: View) -> Signature:
    """Return what is signed now, and what was signed last."""
    code = view.subject.evidence.head_shown
    statement = say("sign.sentence")
    also = [say("manager.sign.accepts_changes")] if view.loosened else []
    if nobody := unsigned_gaps(view):
        also.append(say("manager.sign.accepts_uncovered", systems=", ".join(nobody)))
    return Signature(
        last=_last(view),
        statement=statement,
        also=tuple(also),
        code=code,
        how=(
            say("manager.sign.by_mail"),
            say("manager.sign.on_paper", who=view.person(MSP)),
        )
        if code
        else (say("manager.sign.no_code"),),
    )


def _last(view: View) -> str:
    signed = next(reversed(view.sign_offs), None)
    if signed is None:
        return say("manager.sign.none")
    known = {"name": signed.name, "role": signed.role, "day": view.day(signed.at)}
    return _how(signed, known)


def _how(signed: SignOff, known: dict[str, str]) -> str:
    match signed.how:
        case HowGiven.OWN_KEY:
            return say("manager.sign.own_key", **known)
        case HowGiven.EMAIL:
            return say("manager.sign.email", **known, recorded_by=signed.recorded_by)
        case HowGiven.PAPER:
            return say("manager.sign.paper", **known, recorded_by=signed.recorded_by)


def next_page(view: View) -> str:
    """Return when the next page comes, and whom to call if it does not."""
    who = _whom_to_call(view)
    comes = view.subject.next_page
    if comes is None:
        return say("manager.next.nobody", who=who)
    return say("manager.next.comes", moment=view.moment(comes), who=who)


def _whom_to_call(view: View) -> str:
    contacts = view.plan.contacts
    others = (contact for name, contact in contacts.items() if name != MANAGER)
    contact = contacts.get(MSP) or next(others, None)
    if contact is None:
        return say("manager.next.nobody_named")
    if contact.phone:
        return say("manager.next.phone", role=contact.role, phone=contact.phone)
    if contact.email:
        return say("manager.next.email", role=contact.role, email=contact.email)
    return say("manager.next.no_number", role=contact.role)
