"""Which lifecycle rules a bucket needs for a repository, and which of others would harm it.

What restic deletes or overwrites in a bucket with versions stays as a noncurrent version until a
rule removes it: without one, prune frees nothing (restic's issue 5204). A rule never removes a
version that is locked. S3 user guide, "Managing the lifecycle of objects". Pure: rules are what
GetBucketLifecycleConfiguration returns.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Rule = Mapping[str, Any]

UPLOAD_DAYS = 7
"""After which an upload that was begun and never ended is removed."""
_ARCHIVES = frozenset({"GLACIER", "DEEP_ARCHIVE"})
"""Storage classes from which nothing can be read without being asked for hours before."""


def wanted_rule(prefix: str, noncurrent_days: int) -> Rule:
    """Return the one rule that keeps what was removed below `prefix` for so many days."""
    return {
        "ID": _rule_name(prefix),
        "Status": "Enabled",
        "Filter": {"Prefix": prefix},
        "Expiration": {"ExpiredObjectDeleteMarker": True},
        "NoncurrentVersionExpiration": {"NoncurrentDays": noncurrent_days},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": UPLOAD_DAYS},
    }


def with_rule(rules: Iterable[Rule], prefix: str, noncurrent_days: int) -> list[Rule]:
    """Return the rules of others as they are, and ours."""
    wanted = wanted_rule(prefix, noncurrent_days)
    return [*(_filtered(each) for each in rules if each.get("ID") != wanted["ID"]), wanted]


def lacking(rules: Iterable[Rule], prefix: str, noncurrent_days: int) -> tuple[str, ...]:
    """Return what is never tidied up below `prefix`, or at another time than our own rule should.
    Rules of others count.
    """
    covering = [each for each in _enabled(rules) if _is_for_all_of(each, prefix)]
    days = [_noncurrent_days(each) for each in covering]
    lacks = []
    if not any(days):
        lacks.append("what was removed is kept for ever")
    for each, kept in zip(covering, days, strict=True):
        if each.get("ID") == _rule_name(prefix) and kept not in {0, noncurrent_days}:
            lacks.append(f"what was removed is kept for {kept} days")
    if not any(_expiration(each).get("ExpiredObjectDeleteMarker") for each in covering):
        lacks.append("delete markers are kept for ever")
    if not any(each.get("AbortIncompleteMultipartUpload") for each in covering):
        lacks.append("unfinished uploads are kept for ever")
    return tuple(lacks)


def harmful(rules: Iterable[Rule], prefix: str, noncurrent_days: int) -> tuple[str, ...]:
    """Return the rules of others that remove or archive something below `prefix`, by their names,
    which may be anything.
    """
    return tuple(
        str(each.get("ID") or "without a name")
        for each in _enabled(rules)
        if each.get("ID") != _rule_name(prefix)
        and _is_for_some_of(each, prefix)
        and _harms(each, noncurrent_days)
    )


def _rule_name(prefix: str) -> str:
    return f"dro {prefix}".strip()


def _harms(rule: Rule, noncurrent_days: int) -> bool:
    expiration = _expiration(rule)
    moves = (*rule.get("Transitions", ()), *rule.get("NoncurrentVersionTransitions", ()))
    return (
        bool(expiration.get("Days") or expiration.get("Date"))
        or 0 < _noncurrent_days(rule) < noncurrent_days
        or any(move.get("StorageClass") in _ARCHIVES for move in moves)
    )


def _enabled(rules: Iterable[Rule]) -> list[Rule]:
    return [each for each in rules if each.get("Status") == "Enabled"]


def _expiration(rule: Rule) -> Mapping[str, Any]:
    return rule.get("Expiration") or {}


def _noncurrent_days(rule: Rule) -> int:
    """Return after how many days noncurrent versions go; 0 where it never says so."""
    return int((rule.get("NoncurrentVersionExpiration") or {}).get("NoncurrentDays") or 0)


def _filtered(rule: Rule) -> Rule:
    """Return a rule with its prefix in a filter: S3 takes no rules of the old form beside ours."""
    if "Prefix" not in rule:
        return rule
    rest = {name: value for name, value in rule.items() if name != "Prefix"}
    return {"Filter": {"Prefix": rule["Prefix"]}, **rest}


def _prefix(rule: Rule) -> str:
    """Return what it is for, in the filter or, as until 2016, beside it."""
    among = rule.get("Filter") or {}
    return str(among.get("Prefix") or among.get("And", {}).get("Prefix") or rule.get("Prefix", ""))


def _is_for_all_of(rule: Rule, prefix: str) -> bool:
    return prefix.startswith(_prefix(rule)) and not set(rule.get("Filter") or ()) - {"Prefix"}


def _is_for_some_of(rule: Rule, prefix: str) -> bool:
    return prefix.startswith(_prefix(rule)) or _prefix(rule).startswith(prefix)
