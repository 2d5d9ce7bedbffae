"""`dro sign`: take down that the practice's management accepts what it is promised."""

from __future__ import annotations

import contextlib
import os
import sys
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dr_orchestrator.cli.options import person
from dr_orchestrator.core.local_time import typed_instant
from dr_orchestrator.core.sign_off import HowGiven
from dr_orchestrator.core.wording import instant_words, printable
from dr_orchestrator.errors import ExitCode, UsageMistake
from dr_orchestrator.evidence.ssh_signature import NAMESPACE
from dr_orchestrator.plan.model import MANAGER
from dr_orchestrator.report.subject import HEAD_SHOWN
from dr_orchestrator.whole_file import write_whole

if TYPE_CHECKING:
    from dr_orchestrator.cli.main import Context
    from dr_orchestrator.core.sign_off import SignOff
    from dr_orchestrator.plan.model import Plan
    from dr_orchestrator.report.sign_off import Page, Signer

_CODE = "check code on the page that is signed"
_MINUTE = timedelta(seconds=59)
_LARGEST = 64 << 20
"""Of a scan or a message, in bytes."""


@click.command(
    epilog="""\b
Examples:
  dro sign riverside --how paper --head 3f2a9c04b1d7 --name "Ann Lee" --document scan.pdf
  dro sign riverside --how email --document reply.eml --head 3f2a9c04b1d7
  dro sign riverside --write-statement statement.txt --head 3f2a9c04b1d7 --name "Ann Lee"
  ssh-keygen -Y sign -n dr-orchestrator -f ~/.ssh/id_ed25519 statement.txt    (she does that)
  dro sign riverside --how own-key --head 3f2a9c04b1d7 --name "Ann Lee" \\
      --statement statement.txt --document statement.txt.sig
"""
)
@click.argument("practice", required=False)
@click.option(
    "--how",
    type=click.Choice(["paper", "email", "own-key"]),
    help="how the word was given",
)
@click.option("--head", metavar="CODE", help="the check code on the page that was signed")
@click.option("--contact", metavar="ID", help="who signs; who the plan names unless stated")
@click.option("--name", metavar="NAME", help="the name of who signs, as on the paper")
@click.option(
    "--document",
    metavar="FILE",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="the scan, the e-mail (.eml) or the signature (.sig); only its hash is kept",
)
@click.option(
    "--statement",
    metavar="FILE",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="the statement that was signed, with --how own-key",
)
@click.option(
    "--write-statement",
    "to_write",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="write what is to be signed with an own key, about the page with the code --head",
)
@click.option(
    "--confirm",
    is_flag=True,
    help="you read what else the e-mail says, and it takes nothing back",
)
@click.option("--at", metavar="TIME", help="when it was given, as 2026-11-20; now unless stated")
@click.option("--by", metavar="NAME", help="who records it; your login name unless stated")
@click.option("--json", "_json", is_flag=True, help="print one JSON object, and ask nothing")
@click.pass_obj
def command(
    context: Context,
    *,
    practice: str | None,
    how: str | None,
    head: str | None,
    contact: str | None,
    name: str | None,
    document: Path | None,
    statement: Path | None,
    to_write: Path | None,
    confirm: bool,
    at: str | None,
    by: str | None,
    _json: bool,
) -> ExitCode:
    """Record that the practice's management read a page, and accepts what it promises.

    Only a contact that signs for the practice can: `manager`, or whom the plan names with `signs`
    and somebody who signed before accepted.

    On paper: keep the sheet; the record says who recorded it, and never shows it as her own
    signature. By e-mail: her reply, saved as a file, from the address in the plan, with the
    sentence and the check code. With her own key: `signing_key` of the contact in the plan.

    What is accepted is the promise as it was when the check code was the newest. A change made
    since is not.

    Exit codes: 0 recorded, or the statement was written; 2 it is not that person's word, they do
    not sign for the practice, or no evidence has the check code.
    """
    from dr_orchestrator.report.sign_off import Word, find_page, require_signer, sign_off
    from dr_orchestrator.report.sign_off import statement as statement_of

    loaded = context.one_plan(practice)
    plan, store, now = loaded.plan, context.store(), context.clock.now()
    context.app.note_promise(loaded)
    if to_write is not None:
        head = head or _asked(context, _CODE, "--head")
        page = find_page(store, plan.practice.id, head)
        signer = _signer(context, plan, contact, name)
        require_signer(store, plan, signer.contact)
        write_whole(to_write, statement_of(plan, signer, page))
        context.say(f"{to_write}: to be signed by {signer.name} on a machine of their own")
        context.say(f"  ssh-keygen -Y sign -n {NAMESPACE} -f ~/.ssh/id_ed25519 {to_write.name}")
        context.print_json_if_asked({"statement": str(to_write), "head": page.head})
        return ExitCode.OK
    way = _way(context, how)
    head = head or _asked(context, _CODE, "--head")
    page = find_page(store, plan.practice.id, head)
    if way is not HowGiven.PAPER and document is None:
        raise UsageMistake("what was signed is not handed in", hint="--document FILE")
    word = Word(
        how=way,
        at=_given_at(at, now, plan),
        document=_content(document),
        statement=_content(statement),
        takes_nothing_back=lambda more: confirm or _confirmed(context, more),
    )
    recorded_by = f"{person(by)} on {os.uname().nodename}"
    signer = _signer(context, plan, contact, name)
    signed = sign_off(store, plan, signer, page, word, recorded_by=recorded_by)
    context.app.note_standing(loaded)
    _show(context, plan, signed, page)
    context.print_json_if_asked({"sign_off": _json_of(signed)})
    return ExitCode.OK


def _confirmed(context: Context, more: str) -> bool:
    """Ask whether what else stands in a reply takes the word back."""
    if context.json or not sys.stdin.isatty():
        return False
    context.say("the e-mail says more than the sentence and the code:")
    for line in more.splitlines():
        context.say(f"  | {printable(line)}")
    return click.confirm("does it still accept what is promised", err=True)


def _way(context: Context, how: str | None) -> HowGiven:
    word = how or _asked(context, "how was it given: paper, email or own-key", "--how")
    ways = {"paper": HowGiven.PAPER, "email": HowGiven.EMAIL, "own-key": HowGiven.OWN_KEY}
    if word not in ways:
        raise UsageMistake(f"{word!r} is no way to sign", hint="--how paper, email or own-key")
    return ways[word]


def _signer(context: Context, plan: Plan, contact: str | None, name: str | None) -> Signer:
    from dr_orchestrator.report.sign_off import Signer

    usual = sorted(plan.signers)
    if contact is None and len(usual) > 1:
        raise UsageMistake(f"several sign by the plan: {', '.join(usual)}", hint="add --contact")
    who = contact or next(iter(usual), "")
    if who not in plan.contacts:
        raise UsageMistake(
            f"the plan has no contact {who or MANAGER}",
            hint=f"who signs: {', '.join(usual) or 'nobody; add `manager` to `contacts`'}",
        )
    called = printable(name or _asked(context, "name of who signs", "--name"))
    if not called:
        raise UsageMistake("name of who signs: not said", hint="add --name")
    return Signer(contact=who, name=called, role=plan.contacts[who].role)


def _asked(context: Context, what: str, option: str) -> str:
    if context.json or not sys.stdin.isatty():
        raise UsageMistake(f"{what}: not said", hint=f"add {option}")
    return str(click.prompt(what, err=True)).strip()


def _given_at(typed: str | None, now: datetime, plan: Plan) -> datetime:
    """Return the end of the day or minute that was typed: the page may be of the same."""
    if typed is None:
        return now
    zone = plan.practice.timezone
    with contextlib.suppress(ValueError):
        day = date.fromisoformat(typed.strip())
        given = typed_instant(f"{day} 00:00", now, zone)
        return min(now, max(given, datetime.combine(day, time.max, zone).astimezone(UTC)))
    return min(now, typed_instant(typed, now, zone) + _MINUTE)


def _content(file: Path | None) -> bytes:
    if file is None:
        return b""
    if file.stat().st_size > _LARGEST:
        raise UsageMistake(f"{file} is too large", hint="a scan of one sheet will do")
    return file.read_bytes()


def _show(context: Context, plan: Plan, signed: SignOff, page: Page) -> None:
    zone = plan.practice.timezone
    context.say(
        f"recorded: {signed.name} ({signed.role}) accepts what was promised as of "
        f"{instant_words(page.at, zone)} (check code {signed.head[:HEAD_SHOWN]})"
    )
    if signed.how is HowGiven.OWN_KEY:
        context.say(f"signed with the key {signed.key[:16]} of {signed.contact}: checked")
    else:
        is_mail = signed.how is HowGiven.EMAIL
        how, what = ("by e-mail", "e-mail") if is_mail else ("on paper", "sheet")
        context.say(f"given {how}, recorded by {signed.recorded_by}, who keeps the {what}")
        hashed = "its hash is on record" if signed.document_sha256 else "no scan was handed in"
        context.say(f"{hashed}; no report shows this as their own signature")
    newer = [
        each
        for each in context.store().practice_record(signed.practice).promises
        if each.at > page.at and each.id != signed.promise
    ]
    if newer:
        context.say("the promise was changed since: that is not accepted")


def _json_of(signed: SignOff) -> dict[str, object]:
    return {
        "id": signed.id,
        "practice": signed.practice,
        "at": signed.at,
        "contact": signed.contact,
        "name": signed.name,
        "role": signed.role,
        "how": signed.how.value,
        "recorded_by": signed.recorded_by,
        "head": signed.head,
        "number": signed.number,
        "promise": signed.promise or None,
        "document_sha256": signed.document_sha256 or None,
        "key": signed.key or None,
    }
