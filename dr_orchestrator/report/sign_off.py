"""Taking down that the practice's management read a page and accepts it, and how that was given.

What is accepted is the promise as it was when the page was made, never what became of it since: the
line of the evidence whose hash stood on the page tells which that was.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

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
    """The page that was read: how far the evidence had come when it was made."""

    chain: str
    number: int
    head: str
    at: datetime
    promise: str
    """`PromiseMade.id` of the version that was in force; empty where none was on record."""


@dataclass(frozen=True, kw_only=True)
class Word:
    """How a person's word came to us."""

    how: HowGiven
    at: datetime
    document: bytes = b""
    """The scan, the e-mail, or what `ssh-keygen -Y sign` wrote; only its hash is kept."""
    statement: bytes = b""
    """The file that was signed, where it was her own key."""


def find_page(store: Store, practice: str, head: str) -> Page:
    """Return the page on which the check code `head` stood: at least 12 hex digits.

    Raises:
        UsageMistake: it is too short, or no line of the evidence has it.
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
                return Page(
                    chain=chain,
                    number=line.number,
                    head=found,
                    at=datetime.fromisoformat(line.at),
                    promise=promise,
                )
    raise UsageMistake(
        f"no line of the evidence of {practice} has the check code {wanted}",
        hint="is it that of another practice or machine, or mistyped? `dro evidence verify` says "
        "whether the evidence is whole",
    )


def statement(plan: Plan, signer: Signer, page: Page) -> bytes:
    """Return what is signed, as a file of text."""
    lines = (
        say("sign.title", practice=plan.practice.name, id=plan.practice.id),
        say("sign.sentence"),
        say("sign.who", name=signer.name, role=signer.role),
        say("sign.code", code=page.head),
        say("sign.promise", promise=page.promise or "-"),
    )
    return ("\n".join(lines) + "\n").encode()


def sign_off(
    store: Store, plan: Plan, signer: Signer, page: Page, word: Word, *, recorded_by: str
) -> SignOff:
    """Record that a page was accepted, and return the record.

    Raises:
        UsageMistake: the word is not that of the contact, or not about this page.
    """
    contact = plan.contacts[signer.contact]
    said = statement(plan, signer, page)
    signature = key = ""
    match word.how:
        case HowGiven.OWN_KEY:
            signature, key = _own_key(contact, signer, said, word)
        case HowGiven.EMAIL:
            _require_reply(contact, signer, page, word)
    if word.at < page.at:
        raise UsageMistake(
            "it was signed before the page was made", hint="--at: when the word was given"
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
            hint="sign what `--write-statement` writes, unchanged; was the name the same?",
        )
    signature = signature_in(word.document, said, contact.signing_key)
    return signature, fingerprint(key_in(contact.signing_key).hex())


def _require_reply(contact: Contact, signer: Signer, page: Page, word: Word) -> None:
    if not contact.email:
        raise UsageMistake(f"the plan has no e-mail address of {signer.contact}")
    require_reply(word.document, address=contact.email, words=say("sign.sentence"))
    require_reply(word.document, address=contact.email, words=page.head[:HEAD_SHOWN])
