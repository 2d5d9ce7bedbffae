"""Taking down that the practice's management accepts what it is promised, and how that was given.

What is accepted is the promise as it was when the check code was the newest, never what became of
it since: the line of the evidence that has this hash tells which that was. That a page was made
then is not claimed: the same code goes out with other mail.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from dr_orchestrator.compliance.promise import relied_on, signers
from dr_orchestrator.core.identity import new_id
from dr_orchestrator.core.record import SignedOff
from dr_orchestrator.core.sign_off import HowGiven, SignOff
from dr_orchestrator.errors import UsageMistake
from dr_orchestrator.evidence.line import hash_of, read_line
from dr_orchestrator.evidence.signing import fingerprint
from dr_orchestrator.evidence.ssh_signature import key_in, signature_in
from dr_orchestrator.report.reply import require_reply
from dr_orchestrator.report.say import say
from dr_orchestrator.report.subject import HEAD_SHOWN

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from dr_orchestrator.plan.model import Contact, Plan
    from dr_orchestrator.store.base import Store

_PROMISE = '"kind":"promise_recorded"'


@dataclass(frozen=True, kw_only=True)
class Signer:
    """Who signs."""

    contact: str
    """Of the plan."""
    name: str
    role: str


@dataclass(frozen=True, kw_only=True)
class Page:
    """What a check code stands for: how far the evidence had come."""

    chain: str
    number: int
    head: str
    at: datetime
    promise: str
    """`PromiseMade.id` of the version that was in force."""


@dataclass(frozen=True, kw_only=True)
class Word:
    """How a person's word came to us."""

    how: HowGiven
    at: datetime
    document: bytes = b""
    """The scan, the e-mail, or what `ssh-keygen -Y sign` wrote; only its hash is kept."""
    statement: bytes = b""
    """The file that was signed, where it was her own key."""
    takes_nothing_back: Callable[[str], bool] = lambda _more: False
    """Whether what else an e-mail says leaves her word as it is: a person tells."""


def require_signer(store: Store, plan: Plan, contact: str) -> None:
    """See that a contact signs for the practice, by the plan and by what was accepted before.

    Raises:
        UsageMistake: they do not.
    """
    if contact not in plan.signers:
        raise UsageMistake(
            f"{contact} does not sign for {plan.practice.id}",
            hint=f"{_some(plan.signers)} does; another one with `contacts.{contact}.signs: true`, "
            "once somebody who signs already accepted that",
        )
    before = signers(_relied_on(store, plan))
    if before and contact not in before:
        raise UsageMistake(
            f"the practice has not accepted that {contact} signs for it",
            hint=f"{_some(before)} signs for that first; `manager` is a role, and stays that of "
            "whoever has it",
        )


def _some(contacts: Collection[str]) -> str:
    return ", ".join(sorted(contacts)) or "nobody"


def _relied_on(store: Store, plan: Plan) -> Mapping[str, str]:
    version = relied_on(store.practice_record(plan.practice.id))
    return version.fields if version else {}


def _require_means(store: Store, plan: Plan, contact: str, how: HowGiven) -> None:
    """See that the key, or the address, is the one the practice relies on: who edits a plan may
    write his own there. A first address is no more than paper, which needs none.
    """
    before = _relied_on(store, plan)
    field, is_now = "", None
    if how is HowGiven.OWN_KEY and signers(before):
        field, is_now = "signing_key", plan.contacts[contact].signing_key
    elif how is HowGiven.EMAIL and f"contacts.{contact}.email" in before:
        field, is_now = "email", plan.contacts[contact].email
    if field and before.get(f"contacts.{contact}.{field}") != is_now:
        raise UsageMistake(
            f"the practice has not accepted `contacts.{contact}.{field}` as it is in the plan",
            hint="have a page made since signed in another way: on paper",
        )


def find_page(store: Store, practice: str, head: str) -> Page:
    """Return what the check code `head` stands for: at least 12 hex digits.

    Raises:
        UsageMistake: it is too short, no line of the evidence has it, or it is that of a memory
            whose promise is not on record here.
    """
    wanted = "".join(head.split()).casefold()
    if len(wanted) < HEAD_SHOWN or set(wanted) - set("0123456789abcdef"):
        raise UsageMistake(
            f"a check code has {HEAD_SHOWN} digits of 0-9 and a-f, and not {head!r}",
            hint="it stands beside the place to sign",
        )
    promise = chain = ""
    for text in store.evidence.lines(practice):
        found = hash_of(text)
        if _PROMISE in text or found.startswith(wanted):
            line = read_line(text)
            if line.chain != chain:
                chain, promise = line.chain, ""
            if _PROMISE in text:
                promise = str(line.about["id"])
            if found.startswith(wanted):
                at = datetime.fromisoformat(line.at)
                return Page(
                    chain=chain,
                    number=line.number,
                    head=found,
                    at=at,
                    promise=_in_force(store, practice, chain, promise, at),
                )
    raise UsageMistake(
        f"no line of the evidence of {practice} has the check code {wanted}",
        hint="is it that of another practice or machine, or mistyped? `dro evidence verify` says "
        "whether the evidence is whole",
    )


def _in_force(store: Store, practice: str, chain: str, promise: str, at: datetime) -> str:
    """Return the version that was in force: the one its chain tells, where that is on record here;
    of a chain of ours that was begun anew and tells none yet, the newest by then.
    """
    versions = store.practice_record(practice).promises
    known = {each.id for each in versions}
    if not promise and chain in {
        each.chain for each in store.evidence.chains(practice) if each.ours
    }:
        promise = next((each.id for each in reversed(versions) if each.at <= at), "")
    if promise not in known:
        raise UsageMistake(
            "this check code stands for no promise that is on record here",
            hint="have a page of this machine signed, made after the promise was recorded",
        )
    return promise


def statement(plan: Plan, signer: Signer, page: Page) -> bytes:
    """Return what is signed, as a file of text."""
    lines = (
        say("sign.title", practice=plan.practice.name, id=plan.practice.id),
        say("sign.sentence"),
        say("sign.who", name=signer.name, role=signer.role),
        say("sign.code", code=page.head),
        say("sign.promise", promise=page.promise),
    )
    return ("\n".join(lines) + "\n").encode()


def sign_off(
    store: Store, plan: Plan, signer: Signer, page: Page, word: Word, *, recorded_by: str
) -> SignOff:
    """Record that a promise was accepted, and return the record.

    Raises:
        UsageMistake: the word is not that of the contact, or not about this page, or the contact
            does not sign for the practice.
    """
    require_signer(store, plan, signer.contact)
    _require_means(store, plan, signer.contact, word.how)
    contact = plan.contacts[signer.contact]
    said = statement(plan, signer, page)
    signature = key = ""
    match word.how:
        case HowGiven.OWN_KEY:
            signature, key = _own_key(contact, signer, said, word)
        case HowGiven.EMAIL:
            _require_reply(plan, signer, page, word)
    if word.at < page.at:
        raise UsageMistake(
            "it was signed before this check code was there",
            hint="--at: when the word was given",
        )
    signed = SignOff(
        id=new_id(word.at),
        practice=plan.practice.id,
        at=word.at,
        contact=signer.contact,
        name=signer.name,
        role=signer.role,
        how=word.how,
        recorded_by=recorded_by,
        head=page.head,
        number=page.number,
        chain=page.chain,
        promise=page.promise,
        statement_sha256=hashlib.sha256(said).hexdigest(),
        document_sha256=hashlib.sha256(word.document).hexdigest() if word.document else "",
        signature=signature,
        key=key,
    )
    store.record(SignedOff(sign_off=signed))
    return signed


def _own_key(contact: Contact, signer: Signer, said: bytes, word: Word) -> tuple[str, str]:
    if contact.signing_key is None:
        raise UsageMistake(
            f"the plan names no key of {signer.contact}",
            hint=f"contacts.{signer.contact}.signing_key: the line of id_ed25519.pub",
        )
    if word.statement != said:
        raise UsageMistake(
            "the statement that was signed is not the one about this page",
            hint="sign what `--write-statement` writes, unchanged; were head and name the same?",
        )
    signature = signature_in(word.document, said, contact.signing_key)
    return signature, fingerprint(key_in(contact.signing_key).hex())


def _require_reply(plan: Plan, signer: Signer, page: Page, word: Word) -> None:
    address = plan.contacts[signer.contact].email
    if not address:
        raise UsageMistake(f"the plan has no e-mail address of {signer.contact}")
    more = require_reply(
        word.document,
        address=address,
        sentence=say("sign.sentence"),
        code=page.head[:HEAD_SHOWN],
        ours=say("mail.sign"),
        plain=(signer.name, signer.role, plan.practice.name),
    )
    if more and not word.takes_nothing_back(more):
        raise UsageMistake(
            "the e-mail says more than the sentence and the code",
            hint="read it; if that takes nothing back, add --confirm; else ask for a new reply",
        )
