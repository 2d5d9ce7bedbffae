"""What the manager signs, how she gives it, and when the next page comes."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from dr_orchestrator.core.sign_off import HowGiven, SignOff
from dr_orchestrator.report.manager import build_page
from dr_orchestrator.report.model import Page
from dr_orchestrator.report.subject import EvidenceSeen
from tests.support import practices
from tests.support.practices import NOW
from tests.support.promises import make_sign_off

DAY = timedelta(days=1)
CODE = "1a2b3c4d5e6f"
SEEN = EvidenceSeen(chain="c", number=1234, head=CODE + "0" * 52, fingerprint="ab" * 32)
SIGN = "Sign this page: nobody has signed for the practice in the last 12 months."


def page_of(*sign_offs: SignOff, **more: Any) -> Page:
    kept = practices.one_system()
    told = replace(kept.record, sign_offs=sign_offs)
    return build_page(replace(kept, record=told).subject(evidence=SEEN, **more))


def test_the_check_code_is_the_beginning_of_the_head() -> None:
    page = page_of()
    assert page.signature.code == CODE
    assert page.signature.statement == "I have read this page and accept what it promises."
    footer = {note.label: note.text for note in page.footer}
    assert footer["Evidence"] == (
        f"line 1,234, check code {CODE}, key fingerprint {SEEN.fingerprint}"
    )


def test_a_page_without_evidence_cannot_be_signed_and_asks_for_no_signature() -> None:
    page = build_page(practices.one_system().subject())
    assert page.signature.code == ""
    assert page.signature.how == (
        "This page has no check code yet, so that a signature on it cannot be recorded.",
    )
    assert SIGN not in [need.text for need in page.needs]


@pytest.mark.parametrize(
    ("how", "words"),
    [
        (
            HowGiven.OWN_KEY,
            (
                "Last signed by Grace Example (practice manager) on 20 November, with a key of "
                "their own, which we checked."
            ),
        ),
        (
            HowGiven.EMAIL,
            (
                "Last accepted by Grace Example (practice manager) in an e-mail of 20 November. "
                "Ada on clinic recorded it."
            ),
        ),
        (
            HowGiven.PAPER,
            (
                "Last accepted on paper, in the name of Grace Example (practice manager), on "
                "20 November. Ada on clinic recorded it; we did not see the signature."
            ),
        ),
    ],
)
def test_what_somebody_else_recorded_is_never_shown_as_her_signature(
    how: HowGiven, words: str
) -> None:
    older = make_sign_off(NOW - 9 * DAY, how=HowGiven.OWN_KEY)
    assert page_of(older, make_sign_off(NOW - DAY, how=how)).signature.last == words


def test_nobody_signed_yet_is_said_and_asked_for() -> None:
    page = page_of()
    assert page.signature.last == "Nobody has signed for this practice yet."
    assert page.needs[0].text == SIGN


@pytest.mark.parametrize(("days", "asked"), [(364, False), (366, True)])
def test_a_signature_speaks_for_a_year(days: int, asked: bool) -> None:
    page = page_of(make_sign_off(NOW - days * DAY))
    assert (SIGN in [need.text for need in page.needs]) is asked


def _contacts(**contacts: dict[str, str]) -> str:
    made = practices.plan({"emr": practices.system("Shared files")}, contacts=contacts)
    practice = replace(practices.one_system(), plan=made)
    return build_page(practice.subject(next_page=NOW + 7 * DAY)).next_page


@pytest.mark.parametrize(
    ("contacts", "who"),
    [
        ({"vendor": {"role": "vendor"}, "msp": {"role": "IT", "phone": "+1 5"}}, "IT, +1 5"),
        (
            {"manager": {"role": "manager", "phone": "+1 1"}, "it": {"role": "IT", "email": "a@b"}},
            "IT, a@b",
        ),
        ({"it": {"role": "IT"}}, "IT; the plan holds no telephone number"),
        (
            {"manager": {"role": "manager", "phone": "+1 1"}},
            "whoever looks after your backups; the plan names nobody",
        ),
    ],
)
def test_the_page_says_when_the_next_one_comes_and_whom_else_to_call(
    contacts: dict[str, dict[str, str]], who: str
) -> None:
    assert _contacts(**contacts) == (
        f"The next page comes by 28 November, 19:15. If it does not, call {who}."
    )


def test_a_page_that_nobody_makes_again_says_so() -> None:
    assert page_of().next_page.startswith("No date is set for the next page.")
