"""A promise that was lowered, and gaps that nobody signed for, are told until they are signed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from dr_orchestrator.core.finding import Verdict
from dr_orchestrator.core.promise import PromiseMade
from dr_orchestrator.core.sign_off import HowGiven, SignOff
from dr_orchestrator.report.manager import build_page
from dr_orchestrator.report.model import Page
from tests.support import practices
from tests.support.practices import NOW
from tests.support.promises import make_promise, make_sign_off

DAY = timedelta(days=1)
PORTAL = "Patient portal"


def _after(promises: tuple[PromiseMade, ...], sign_offs: tuple[SignOff, ...] = ()) -> Page:
    """Return the page of the kept practice of the README with these promises on record."""
    kept = practices.one_system()
    known = replace(kept.record, promises=promises, sign_offs=sign_offs)
    return build_page(replace(kept, record=known).subject())


def _changed(field: str, before: str, after: str, *more: tuple[str, str]) -> Page:
    """Return the page after one field, or several, became what they are."""
    first = make_promise(NOW - 80 * DAY, fields={field: before, **dict(more)} if before else {})
    now = {field: after} if after else {}
    return _after((first, make_promise(NOW - 9 * DAY, fields=now, by="Tom Miller")))


def _portal(page: Page) -> str:
    return next(note.text for note in page.not_covered if note.label == PORTAL)


def test_a_lowered_promise_is_told_with_day_and_person_and_is_not_kept() -> None:
    page = build_page(practices.loosened().subject())
    assert [(note.label, note.text) for note in page.changed] == [
        (
            "Electronic medical record: time limit for recovery",
            "1 hour became 4 hours on 12 November, by Tom Miller; not accepted by the practice.",
        )
    ]
    emr = page.systems[0]
    assert (page.verdict, emr.verdict_words) == (Verdict.UNPROVEN, "not proven")
    assert emr.sentence == (
        "Not proven: less is promised for your electronic medical record than the practice "
        "accepted."
    )
    assert emr.more[0] == "Judged by the changed promise, it would be kept."
    assert emr.recovery[0].endswith("= 2 h 41 min: against a changed limit of 4 h, not accepted")
    assert (emr.kept, page.losses[0].verdict_words) == ((), "not proven")
    assert page.needs[0].text == (
        "Accept the changed promise by your signature, or have it taken back."
    )


def test_it_is_not_said_that_it_would_be_kept_where_it_would_not() -> None:
    late = practices.loosened()
    late = replace(late, findings=practices.broken().findings)
    emr = build_page(late.subject()).systems[0]
    assert emr.verdict is Verdict.BREACHED
    assert "would be kept" not in " ".join((emr.sentence, *emr.more))
    assert "Less is promised now than was accepted." in emr.more


def test_a_signature_ends_it() -> None:
    lowered = practices.loosened()
    newest = lowered.record.promises[-1]
    signed = make_sign_off(NOW - DAY, promise=newest.id)
    told = replace(lowered.record, sign_offs=(*lowered.record.sign_offs, signed))
    kept = replace(lowered, record=told, findings=practices.one_system().findings)
    page = build_page(kept.subject())
    assert page.changed == ()
    assert page.verdict is Verdict.MET


@pytest.mark.parametrize(
    ("field", "before", "after", "label", "text"),
    [
        (
            "systems.emr.verify[no gap in the audit log]",
            "select 1",
            "",
            "Electronic medical record: what is checked in tests, “no gap in the audit log”",
            "select 1 was taken out on 12 November, by Tom Miller; not accepted by the practice.",
        ),
        (
            "systems.emr.verify[visits]",
            "select count(*) from visit where patient is not null",
            "select 1",
            "Electronic medical record: what is checked in tests, “visits”",
            "changed on 12 November, by Tom Miller; not accepted by the practice.",
        ),
        (
            "systems.imaging",
            "protected",
            "",
            "imaging: whether it is protected",
            "protected was taken out on 12 November, by Tom Miller; not accepted by the practice.",
        ),
        (
            "notify[manager]",
            "breach",
            "",
            "The whole practice: who is told when something is wrong, “manager”",
            "breach was taken out on 12 November, by Tom Miller; not accepted by the practice.",
        ),
    ],
)
def test_each_kind_of_change_has_its_words(
    field: str, before: str, after: str, label: str, text: str
) -> None:
    note = _changed(field, before, after).changed[0]
    assert (note.label, note.text) == (label, text)


def test_several_entries_of_one_kind_are_counted() -> None:
    page = _changed(
        "systems.emr.verify[a]", "a", "", ("systems.emr.verify[b]", "b"), ("systems.emr.rto", "1h")
    )
    assert [note.text.partition(" on ")[0] for note in page.changed] == [
        "1 hour was taken out",
        "2 entries promise less since 12 November, by Tom Miller; not accepted by the practice.",
    ]


def test_a_system_that_is_protected_no_more_keeps_the_practice_from_being_called_kept() -> None:
    page = _changed("systems.imaging", "protected", "")
    assert page.systems[0].verdict is Verdict.MET
    assert (page.verdict, page.verdict_words) == (Verdict.UNPROVEN, "not proven")
    assert page.summary == (
        "Not proven: the promise was changed, and the practice has not accepted that."
    )


def test_what_the_whole_practice_lost_counts_for_every_system() -> None:
    page = _changed("notify[manager]", "breach", "")
    assert page.systems[0].verdict is Verdict.UNPROVEN


def test_a_word_in_the_plan_is_no_signature() -> None:
    page = _after((practices.promised(practices.one_system().plan, at=NOW - 9 * DAY),))
    assert _portal(page) == (
        "NOT protected: hosted and holds no records. Accepted by: practice manager; "
        "acceptance not signed."
    )
    assert page.signature.also == ("You also accept that nobody protects: Patient portal.",)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        (
            HowGiven.PAPER,
            "signed for by Grace Example on 20 November, as recorded by Ada on clinic.",
        ),
        (HowGiven.OWN_KEY, "signed for by Grace Example on 20 November."),
    ],
)
def test_a_gap_that_was_signed_for_says_by_whom(how: HowGiven, words: str) -> None:
    promise = practices.promised(practices.one_system().plan, at=NOW - 9 * DAY)
    page = _after((promise,), (make_sign_off(NOW - DAY, promise=promise.id, how=how),))
    assert _portal(page).endswith(words)
    assert page.signature.also == ()


def test_a_signature_under_another_reason_is_none_for_this_gap() -> None:
    now = practices.promised(practices.one_system().plan, at=NOW - 9 * DAY)
    then = replace(now, id="then", fields={**now.fields, "systems.portal": "not protected: small"})
    page = _after((then, now), (make_sign_off(NOW - 20 * DAY, promise="then"),))
    assert "acceptance not signed" in _portal(page)
