"""Bringing reports to where the plan wants them: a folder, a bucket, a contact.

Each delivery is recorded after it was made, place by place, and one place that fails keeps nobody
else from theirs. An attempt made again leaves out what the one before brought. A crash between
sending an e-mail and recording it sends it twice: better than never.

By e-mail a report goes out when the schedule says, and after a restore test only where that changed
what was proven: an inbox that fills up every night is not read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from dr_orchestrator.aws import BucketObjects
from dr_orchestrator.core.letter import Attachment, Letter
from dr_orchestrator.core.occurrence import AFTER_TEST
from dr_orchestrator.core.record import ReportDelivered
from dr_orchestrator.core.run import Operation, Outcome
from dr_orchestrator.core.wording import date_words, moment_words
from dr_orchestrator.errors import DroError, UsageMistake
from dr_orchestrator.plan.anchoring import mailbox_words
from dr_orchestrator.plan.model import Reader
from dr_orchestrator.report.gather import LOOKED_BACK, said
from dr_orchestrator.report.manager import build_page
from dr_orchestrator.report.say import say
from dr_orchestrator.report.view import MSP, View
from dr_orchestrator.report.write import Form, file_name, html_of, report_for
from dr_orchestrator.sheet.pdf import pdf_of
from dr_orchestrator.sheet.write import write_sheet
from dr_orchestrator.store.ledger import run_in_ledger

if TYPE_CHECKING:
    from pathlib import Path

    from dr_orchestrator.clock import Clock
    from dr_orchestrator.core.occurrence import Serves
    from dr_orchestrator.plan.load import LoadedPlan
    from dr_orchestrator.plan.model import BucketPlace, Contact, ReportSpec
    from dr_orchestrator.report.subject import Subject
    from dr_orchestrator.store.base import Store
    from dr_orchestrator.store.ledger import OpenRun

MakePdf = Callable[[bytes, datetime], bytes | None]
_TYPES = {Form.PDF: "application/pdf", Form.HTML: "text/html"}


@dataclass(frozen=True, kw_only=True)
class DeliveryTools:
    """What reports are made and sent with."""

    store: Store
    clock: Clock
    subject: Callable[[LoadedPlan], Subject]
    send: Callable[[Contact, Letter], None]
    """Sends an e-mail; `NotDelivered` where that failed."""
    lock_wait: timedelta
    takes_answers: bool = False
    """Whether a person gets what is answered to an e-mail of this machine."""
    make_pdf: MakePdf = pdf_of


@dataclass(frozen=True, kw_only=True)
class Delivered:
    """Where reports went."""

    outcome: Outcome
    """`done`: everywhere; `partial`: some place did not get them; `failed`: none did."""
    reason: str
    places: tuple[str, ...]
    """In words."""


@dataclass(frozen=True, kw_only=True)
class _Parcel:
    """What goes to one place at once."""

    place: str
    contents: Mapping[Reader, bytes]
    """What it brings of each report."""
    bring: Callable[[], None]


def deliver_reports(
    loaded: LoadedPlan, tools: DeliveryTools, *, serves: Serves | None
) -> Delivered:
    """Make the reports that a plan wants, and bring them to where it wants them.

    Raises:
        UsageMistake: the plan wants none.
        Busy: another process delivers them just now.
        StoreUnusable: the record cannot be read.
    """
    practice, spec = loaded.plan.practice.id, loaded.plan.report
    if spec is None:
        raise UsageMistake(f"the plan of {practice} does not say where its reports go")
    alone = tools.store.locks.hold(
        [f"report/{practice}"],
        exclusive=True,
        wait=tools.lock_wait,
        what=f"the reports of {practice} are being delivered",
    )
    with (
        run_in_ledger(
            tools.store,
            tools.clock,
            Operation.REPORT,
            practice=practice,
            system="",
            serves=serves,
        ) as run,
        alone,
    ):
        delivery = _Delivery(tools, spec, tools.subject(loaded), run)
        delivered = delivery.bring_all()
        run.conclude(delivered.outcome, delivered.reason)
    return delivered


def says(subject: Subject) -> str:
    """Return a hash of what is proven of each system: its verdict, and how the newest test from
    each repository ended that came to a result.
    """
    view = View(subject)
    proven = [
        [
            system,
            view.verdict(system),
            [[t.repository, t.result] for t in view.last_results(system)],
        ]
        for system in sorted(view.systems)
    ]
    return hashlib.sha256(json.dumps(proven).encode()).hexdigest()[:16]


class _Delivery:
    """One making and bringing of reports."""

    def __init__(
        self, tools: DeliveryTools, spec: ReportSpec, subject: Subject, run: OpenRun
    ) -> None:
        self._tools = tools
        self._spec = spec
        self._at = subject
        self._run = run.run
        self._practice = subject.plan.practice.id
        self._says = says(subject)
        self._is_after_test = (run.run.schedule_id or "").endswith(f"/{AFTER_TEST}")
        since = subject.now - LOOKED_BACK
        self._before = said(tools.store.evidence, self._practice, ReportDelivered, since)

    def bring_all(self) -> Delivered:
        done = self._done_before()
        brought: list[str] = []
        failed: dict[str, DroError] = {}
        for parcel in self._parcels():
            if parcel.place not in done:
                try:
                    parcel.bring()
                except DroError as error:
                    failed[parcel.place] = error
                    self._record(parcel, error.message)
                    continue
                self._record(parcel)
            brought.append(parcel.place)
        outcome = Outcome.DONE
        if failed:
            outcome = Outcome.PARTIAL if brought else Outcome.FAILED
        reason = "; ".join(_why(place, error) for place, error in failed.items())
        return Delivered(outcome=outcome, reason=reason, places=tuple(brought))

    def _done_before(self) -> frozenset[str]:
        """Return the places to which an earlier attempt at the same occurrence brought them."""
        attempts = {each.id for each in self._tools.store.attempts_beside(self._run).runs}
        return frozenset(
            each.place for each in self._before if each.run in attempts and not each.reason
        )

    def _record(self, parcel: _Parcel, reason: str = "") -> None:
        at = self._tools.clock.now()
        self._tools.store.record(
            *(
                ReportDelivered(
                    practice=self._practice,
                    run=self._run.id,
                    at=at,
                    report=reader.value,
                    place=parcel.place,
                    sha256=hashlib.sha256(content).hexdigest(),
                    reason=reason,
                    says=self._says,
                )
                for reader, content in parcel.contents.items()
            )
        )

    # --- what goes where ------------------------------------------------------------------------

    def _parcels(self) -> Iterator[_Parcel]:
        spec = self._spec
        contacts = [each for each in spec.mail if self._is_due_by_mail(each)]
        if spec.folder is None and spec.s3 is None and not contacts:
            return
        files = self._made()
        if spec.folder is not None:
            yield from _into_folder(spec.folder, self._practice, files)
        if spec.s3 is not None:
            yield from _into_bucket(spec.s3, self._practice, files)
        for contact in contacts:
            yield self._by_mail(contact, files)

    def _made(self) -> dict[Reader, dict[Form, bytes]]:
        files: dict[Reader, dict[Form, bytes]] = {}
        for reader in dict.fromkeys(self._spec.readers):
            html = html_of(report_for(reader, self._at))
            pdf = self._tools.make_pdf(html, self._at.now)
            files[reader] = {Form.HTML: html} | ({Form.PDF: pdf} if pdf is not None else {})
        return files

    def _is_due_by_mail(self, contact: str) -> bool:
        """Whether a contact gets a mail: on schedule; else where the last one did not reach them,
        or said something else.
        """
        last = self._last(contact)
        is_news = last is None or bool(last.reason) or last.says != self._says
        return is_news or not self._is_after_test

    def _last(self, contact: str) -> ReportDelivered | None:
        place = mailbox_words(contact)
        return next((each for each in reversed(self._before) if each.place == place), None)

    def _by_mail(self, contact: str, files: Mapping[Reader, Mapping[Form, bytes]]) -> _Parcel:
        attached: dict[Reader, Attachment] = {}
        for reader, forms in files.items():
            form = Form.PDF if Form.PDF in forms else Form.HTML
            attached[reader] = Attachment(
                name=file_name(self._practice, reader, form),
                media_type=_TYPES[form],
                content=forms[form],
            )
        is_pdf = all(Form.PDF in forms for forms in files.values())
        is_first = self._last(contact) is None
        letter = self._letter(tuple(attached.values()), is_pdf=is_pdf, is_first=is_first)
        spec = self._at.plan.contacts[contact]
        return _Parcel(
            place=mailbox_words(contact),
            contents={reader: each.content for reader, each in attached.items()},
            bring=lambda: self._tools.send(spec, letter),
        )

    def _letter(
        self, attachments: tuple[Attachment, ...], *, is_pdf: bool, is_first: bool
    ) -> Letter:
        page, practice = build_page(self._at), self._at.plan.practice
        zone, now = practice.timezone, self._at.now
        after_test = "first" if is_first else "changed"
        why = after_test if self._is_after_test else "schedule"
        text = [
            *([page.notice] if page.notice else []),
            say("mail.greeting", name=page.name, moment=moment_words(now, zone)),
            say("mail.answer", summary=page.summary),
            say("mail.pdf" if is_pdf else "mail.html"),
            say(f"mail.why.{why}"),
        ]
        if code := self._at.evidence.head_shown:
            reply = say("sign.reply", sentence=say("sign.sentence"), code=code)
            text += [say("mail.code", code=code), f"{say('mail.sign')}\n\n    {reply}"]
            if not self._tools.takes_answers:
                text.append(self._whom_to_answer())
            text.append(say("mail.paper"))
        subject = say(
            "mail.subject", name=page.name, verdict=page.verdict_words, day=date_words(now, zone)
        )
        return Letter(subject=subject, text="\n\n".join(text) + "\n", attachments=attachments)

    def _whom_to_answer(self) -> str:
        """Return whom to send the answer to: nobody may read the address that we write from."""
        msp = self._at.plan.contacts.get(MSP)
        who = View(self._at).person(MSP)
        if msp is None or not msp.email:
            return say("mail.answer_to", who=who)
        return say("mail.answer_to_address", who=who, address=msp.email)


def _into_folder(
    folder: Path, practice: str, files: Mapping[Reader, Mapping[Form, bytes]]
) -> Iterator[_Parcel]:
    for reader, forms in files.items():
        for form, content in forms.items():
            path = folder / file_name(practice, reader, form)
            yield _Parcel(
                place=str(path),
                contents={reader: content},
                bring=partial(write_sheet, path, content),
            )


def _into_bucket(
    bucket: BucketPlace, practice: str, files: Mapping[Reader, Mapping[Form, bytes]]
) -> Iterator[_Parcel]:
    where = f"{bucket.to.rstrip('/')}/{practice}/"
    for reader, forms in files.items():
        for form, content in forms.items():
            name = file_name(practice, reader, form)
            yield _Parcel(
                place=f"{where}{name}",
                contents={reader: content},
                bring=partial(_put, bucket, practice, name, content),
            )


def _put(bucket: BucketPlace, practice: str, name: str, content: bytes) -> None:
    BucketObjects(bucket, practice).put(name, content)


def _why(place: str, error: DroError) -> str:
    return error.message if place in error.message else f"{place}: {error.message}"
