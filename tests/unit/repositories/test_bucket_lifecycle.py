from __future__ import annotations

from typing import Any

import pytest

from dr_orchestrator.repositories.bucket_lifecycle import (
    harmful,
    lacking,
    wanted_rule,
    with_rule,
)

OURS = wanted_rule("dro/", 60)
THEIRS: dict[str, Any] = {
    "ID": "theirs",
    "Status": "Enabled",
    "Filter": {"Prefix": "logs/"},
    "Expiration": {"Days": 1},
}


def test_nothing_is_lacking_with_our_rule_alone_or_beside_others() -> None:
    assert lacking([OURS], "dro/", 60) == ()
    assert lacking([THEIRS, OURS], "dro/", 60) == ()
    assert harmful([THEIRS, OURS], "dro/", 60) == ()


def test_everything_is_lacking_without_a_rule() -> None:
    assert len(lacking([], "dro/", 60)) == 3
    assert len(lacking([{**OURS, "Status": "Disabled"}], "dro/", 60)) == 3
    assert len(lacking([{**OURS, "Filter": {"Prefix": "dro/data/"}}], "dro/", 60)) == 3


@pytest.mark.parametrize(
    "left_out", ["Expiration", "NoncurrentVersionExpiration", "AbortIncompleteMultipartUpload"]
)
def test_each_part_of_the_rule_is_missed(left_out: str) -> None:
    rule = {name: value for name, value in OURS.items() if name != left_out}
    assert len(lacking([rule], "dro/", 60)) == 1


def test_our_own_rule_of_before_is_replaced() -> None:
    before = wanted_rule("dro/", 40)
    assert lacking([before], "dro/", 60) == ("what was removed is kept for 40 days",)
    assert harmful([before], "dro/", 60) == ()
    assert with_rule([THEIRS, before], "dro/", 60) == [THEIRS, OURS]


def test_rules_of_others_count_where_they_are_for_the_whole_bucket() -> None:
    theirs = {**wanted_rule("", 90), "ID": "tidy"}
    assert lacking([theirs], "dro/", 60) == ()
    tagged = {**theirs, "Filter": {"And": {"Prefix": "", "Tags": [{"Key": "a", "Value": "b"}]}}}
    assert len(lacking([tagged], "dro/", 60)) == 3


@pytest.mark.parametrize(
    "harm",
    [
        {"Expiration": {"Days": 365}},
        {"Expiration": {"Date": "2030-01-01"}},
        {"NoncurrentVersionExpiration": {"NoncurrentDays": 59}},
        {"Transitions": [{"Days": 30, "StorageClass": "GLACIER"}]},
        {"NoncurrentVersionTransitions": [{"NoncurrentDays": 1, "StorageClass": "DEEP_ARCHIVE"}]},
    ],
)
@pytest.mark.parametrize(
    "where",
    [
        {"Filter": {"Prefix": ""}},
        {"Filter": {"Prefix": "dro/data/"}},
        {"Filter": {}},
        {"Filter": {"Tag": {"Key": "a", "Value": "b"}}},
        {"Prefix": "dro/"},
    ],
)
def test_rule_that_removes_or_archives_what_is_saved_is_harmful(
    harm: dict[str, Any], where: dict[str, Any]
) -> None:
    rule = {"ID": "theirs", "Status": "Enabled", **where, **harm}
    assert harmful([rule, OURS], "dro/", 60) == ("theirs",)
    assert harmful([{**rule, "Status": "Disabled"}], "dro/", 60) == ()


def test_rule_that_leaves_what_is_saved_readable_is_not_harmful() -> None:
    moved = {"Transitions": [{"Days": 30, "StorageClass": "STANDARD_IA"}]}
    kept = {"NoncurrentVersionExpiration": {"NoncurrentDays": 60}}
    rule = {"ID": "theirs", "Status": "Enabled", "Filter": {}, **moved, **kept}
    assert harmful([rule], "dro/", 60) == ()


def test_rules_of_the_old_form_get_a_filter_beside_ours() -> None:
    old = {"ID": "old", "Status": "Enabled", "Prefix": "logs/", "Expiration": {"Days": 1}}
    assert with_rule([old], "dro/", 60)[0] == {**THEIRS, "ID": "old"}
