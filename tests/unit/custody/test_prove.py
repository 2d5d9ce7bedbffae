"""Whose key it is that opened a repository, by the record."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dr_orchestrator.custody.prove import require_theirs, why_not_opened
from dr_orchestrator.errors import UsageMistake
from tests.support.clock import START as NOW
from tests.support.evidence import make_record
from tests.support.key_sheets import make_key

RECORD = make_record(keys=(make_key(),))
KEY = make_key().key


def test_key_of_another_holder_is_refused_and_one_s_own_is_not() -> None:
    with pytest.raises(UsageMistake, match="that is the key of manager"):
        require_theirs(RECORD, "msp", "onsite", KEY, lambda: False)
    assert require_theirs(RECORD, "manager", "onsite", KEY, lambda: True) == ""


def test_plans_own_key_counts_with_a_remark_where_the_holder_has_no_other() -> None:
    assert "shows nothing" in require_theirs(RECORD, "msp", "onsite", "79ab01cd", lambda: True)
    assert require_theirs(RECORD, "msp", "onsite", "79ab01cd", lambda: False) == ""
    with pytest.raises(UsageMistake, match=f"the key of manager is {KEY}"):
        require_theirs(RECORD, "manager", "onsite", "79ab01cd", lambda: True)


def test_old_sheet_is_asked_about_where_a_key_of_the_holder_was_revoked() -> None:
    assert "old sheet" not in why_not_opened(RECORD, "manager", "onsite")
    revoked = make_record(keys=(replace(make_key(), revoked_at=NOW),))
    assert why_not_opened(revoked, "manager", "onsite").endswith("is it an old sheet?")
    assert "old sheet" not in why_not_opened(revoked, "msp", "onsite")
