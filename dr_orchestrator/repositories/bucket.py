"""What an S3 bucket must be like for a repository, and where it is not.

Pure: what is wanted comes from the plan, what was found is what S3 answered; each difference
carries the change that mends it, so that whoever looks and whoever changes cannot disagree. A
bucket that is stricter than the plan is left so: nothing here loosens anything.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from dr_orchestrator.core.wording import count_words, printable, some_names
from dr_orchestrator.repositories.bucket_lifecycle import harmful, lacking, with_rule
from dr_orchestrator.repositories.bucket_policy import has_tls_only, with_tls_only

if TYPE_CHECKING:
    from dr_orchestrator.plan.model import RepositorySpec
    from dr_orchestrator.repositories.s3_place import S3Location

_DAY = timedelta(days=1)
_DAYS_A_YEAR = 365
_ON = "Enabled"
_BLOCKS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
_MODES = ("", "governance", "compliance")
"""Of a lock, the strictest last."""
_LOCK = "ObjectLockConfiguration"
_SMALLEST_MOVED = "TransitionDefaultMinimumObjectSize"
"""Belongs to all rules of a bucket, and falls back to its default where it is left out."""


class Setting(StrEnum):
    """What of a bucket is looked at, in the order in which it is mended: before anything may be
    removed by a rule, it is certain that what must stay is locked.
    """

    PUBLIC_ACCESS = "public-access"
    VERSIONING = "versioning"
    OBJECT_LOCK = "object-lock"
    TLS_ONLY = "tls-only"
    ENCRYPTION = "encryption"
    LIFECYCLE = "lifecycle"
    EXPIRY = "expiry"
    """Rules of others that remove what is saved: they are not ours to change."""

    @property
    def words(self) -> str:
        """Its name for people."""
        return self.value.replace("-", " ")


ESSENTIAL = frozenset({Setting.VERSIONING, Setting.OBJECT_LOCK})
"""Without these, what the plan promises of the bucket is not so."""


@dataclass(frozen=True)
class Lock:
    """How what is saved to a bucket is locked, unless it is told otherwise."""

    mode: str = ""
    """`governance` or `compliance`; empty for none."""
    days: int = 0

    def __str__(self) -> str:
        """Return it in words."""
        return f"{self.mode}, {count_words(self.days, 'day')}" if self.mode else "none"

    def and_at_least(self, other: Lock) -> Lock:
        """Return what is as strict as both."""
        mode = max(self.mode, other.mode, key=_MODES.index)
        return Lock(mode, max(self.days, other.days))


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a bucket must be like."""

    location: S3Location
    lock: Lock | None
    kms_key: str | None
    noncurrent_days: int
    """How long what was removed stays: while it is locked, and then as long as the plan says."""

    @property
    def tls_only(self) -> bool:
        """Whether plain HTTP is refused: not where it is the very way that we come by."""
        return not (self.location.endpoint or "").startswith("http://")


@dataclass(frozen=True, kw_only=True)
class Unseen:
    """A setting that could not be looked at."""

    code: str
    """What S3 answered: `AccessDenied`."""
    is_known: bool
    """Whether this storage has such a setting at all."""


Found = Mapping[Setting, Mapping[str, Any] | Unseen]
"""What S3 answered; an empty answer where the setting was never made. `EXPIRY` is `LIFECYCLE`."""


@dataclass(frozen=True, kw_only=True)
class Drift:
    """A setting that is not as the plan wants it."""

    setting: Setting
    found: str
    wanted: str
    fix: str
    """What is to be done, in words."""
    change: Mapping[str, Any] | None = None
    """What S3 is to be told, beside the bucket; `None` where a person must see to it."""


@dataclass(frozen=True, kw_only=True)
class Stricter:
    """A setting that goes beyond the plan, and is left so."""

    setting: Setting
    found: str
    wanted: str


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """How a bucket is against what it must be."""

    drifts: tuple[Drift, ...]
    """In the order in which to mend them."""
    stricter: tuple[Stricter, ...]
    unseen: Mapping[Setting, Unseen]
    binding_days: int | None
    """For how long nobody at all will be able to remove what is saved, once it is mended; `None`
    where mending changes nothing about that."""


def is_described(spec: RepositorySpec) -> bool:
    """Tell whether the plan says what the bucket is to be like, so that another one is a fault."""
    return spec.is_s3 and (spec.object_lock is not None or "bucket" in spec.model_fields_set)


def wanted_bucket(spec: RepositorySpec, location: S3Location) -> Wanted:
    """Return what the bucket of a repository must be like."""
    lock = spec.object_lock
    keep = -(-spec.bucket.keep_noncurrent // _DAY)
    return Wanted(
        location=location,
        lock=Lock(lock.mode, lock.days) if lock else None,
        kms_key=spec.bucket.kms_key,
        noncurrent_days=keep + (lock.days if lock else 0),
    )


def judge_bucket(wanted: Wanted, found: Found) -> Judgement:
    """Return where a bucket differs from what is wanted; what was not seen is neither right nor
    wrong.
    """
    said = [each for setting in Setting for each in _judged(setting, wanted, found)]
    drifts = tuple(each for each in said if isinstance(each, Drift))
    locks = (each for each in drifts if each.setting is Setting.OBJECT_LOCK)
    target = locked_by(next((each.change or {} for each in locks), {}).get(_LOCK, {}))
    return Judgement(
        drifts=drifts,
        stricter=tuple(each for each in said if isinstance(each, Stricter)),
        unseen={
            setting: answer
            for setting in Setting
            if setting in _asked_for(wanted) and isinstance(answer := found[setting], Unseen)
        },
        binding_days=target.days if target.mode == "compliance" else None,
    )


def _asked_for(wanted: Wanted) -> frozenset[Setting]:
    """Return the settings that the plan says something about; rules are looked at only once."""
    idle = {Setting.EXPIRY}
    if wanted.lock is None:
        idle.add(Setting.OBJECT_LOCK)
    if not wanted.tls_only:
        idle.add(Setting.TLS_ONLY)
    return frozenset(set(Setting) - idle)


def _judged(setting: Setting, wanted: Wanted, found: Found) -> Iterator[Drift | Stricter]:
    answer = found[Setting.LIFECYCLE if setting is Setting.EXPIRY else setting]
    if not isinstance(answer, Unseen):
        yield from _JUDGES[setting](wanted, answer)


def _public_access(_wanted: Wanted, answer: Mapping[str, Any]) -> Iterator[Drift]:
    open_ = [block for block in _BLOCKS if answer.get(block) is not True]
    if open_:
        yield Drift(
            setting=Setting.PUBLIC_ACCESS,
            found=f"not blocked: {', '.join(open_)}",
            wanted="blocked",
            fix="block public access, all four ways",
            change={"PublicAccessBlockConfiguration": dict.fromkeys(_BLOCKS, True)},
        )


def _versioning(_wanted: Wanted, answer: Mapping[str, Any]) -> Iterator[Drift]:
    status = answer.get("Status")
    if status != _ON:
        yield Drift(
            setting=Setting.VERSIONING,
            found="suspended" if status == "Suspended" else "off",
            wanted="on",
            fix="switch versioning on",
            change={"VersioningConfiguration": {"Status": _ON}},
        )


def _object_lock(wanted: Wanted, answer: Mapping[str, Any]) -> Iterator[Drift | Stricter]:
    is_on, found = answer.get("ObjectLockEnabled") == _ON, locked_by(answer)
    want = wanted.lock or Lock()
    target = found.and_at_least(want)
    if target != want:
        yield Stricter(setting=Setting.OBJECT_LOCK, found=str(found), wanted=str(want))
    if wanted.lock is None or (is_on and found == target):
        return
    retention = {"Mode": target.mode.upper(), "Days": target.days}
    yield Drift(
        setting=Setting.OBJECT_LOCK,
        found=str(found) if is_on else "off",
        wanted=str(target),
        fix=f"lock what is saved: {target}",
        change={_LOCK: {"ObjectLockEnabled": _ON, "Rule": {"DefaultRetention": retention}}},
    )


def locked_by(answer: Mapping[str, Any]) -> Lock:
    """Return the default retention of an object lock configuration as S3 answers it."""
    retention = (answer.get("Rule") or {}).get("DefaultRetention") or {}
    mode = str(retention.get("Mode") or "").lower()
    days = int(retention.get("Days") or 0) + _DAYS_A_YEAR * int(retention.get("Years") or 0)
    return Lock(mode, days) if mode in _MODES[1:] and days else Lock()


def _tls_only(wanted: Wanted, answer: Mapping[str, Any]) -> Iterator[Drift]:
    if wanted.tls_only and not has_tls_only(answer, wanted.location):
        yield Drift(
            setting=Setting.TLS_ONLY,
            found="plain HTTP is let in",
            wanted="TLS only",
            fix="refuse plain HTTP in the bucket's policy",
            change={"Policy": json.dumps(with_tls_only(answer, wanted.location))},
        )


def _encryption(wanted: Wanted, answer: Mapping[str, Any]) -> Iterator[Drift]:
    rules = [each.get("ApplyServerSideEncryptionByDefault") for each in answer.get("Rules", ())]
    by_default: Mapping[str, str] = next((each for each in rules if each), {})
    algorithm, key = by_default.get("SSEAlgorithm"), by_default.get("KMSMasterKeyID") or ""
    if wanted.kms_key is None:
        if algorithm:
            return
        want, rule = "AES256", {"SSEAlgorithm": "AES256"}
    else:
        # A key is named by its id, alias or ARN, and S3 need not answer as it was told.
        is_it = key.rpartition("/")[2] == wanted.kms_key.rpartition("/")[2]
        if str(algorithm).startswith("aws:kms") and is_it:
            return
        want = f"aws:kms with {wanted.kms_key}"
        rule = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": wanted.kms_key}
    yield Drift(
        setting=Setting.ENCRYPTION,
        found=printable(f"{algorithm} with {key}" if key else str(algorithm or "none")),
        wanted=want,
        fix=f"encrypt what is saved with {wanted.kms_key or 'AES256'}",
        change={
            "ServerSideEncryptionConfiguration": {
                "Rules": [
                    {
                        "ApplyServerSideEncryptionByDefault": rule,
                        "BucketKeyEnabled": wanted.kms_key is not None,
                    }
                ]
            }
        },
    )


def _lifecycle(wanted: Wanted, answer: Mapping[str, Any]) -> Iterator[Drift]:
    rules, prefix, days = answer.get("Rules", ()), wanted.location.prefix, wanted.noncurrent_days
    if lacks := lacking(rules, prefix, days):
        kept = {_SMALLEST_MOVED: answer[_SMALLEST_MOVED]} if _SMALLEST_MOVED in answer else {}
        yield Drift(
            setting=Setting.LIFECYCLE,
            found=", ".join(lacks),
            wanted=f"what was removed is kept for {days} days, and then tidied up",
            fix="add a rule that tidies up",
            change={"LifecycleConfiguration": {"Rules": with_rule(rules, prefix, days)}, **kept},
        )


def _expiry(wanted: Wanted, answer: Mapping[str, Any]) -> Iterator[Drift]:
    prefix, days = wanted.location.prefix, wanted.noncurrent_days
    if names := harmful(answer.get("Rules", ()), prefix, days):
        shown = some_names([printable(name) for name in names])
        yield Drift(
            setting=Setting.EXPIRY,
            found=f"a lifecycle rule removes or archives what is saved: {shown}",
            wanted="no such rule",
            fix=f"remove the rule, or keep it away from {prefix or 'this bucket'}: {shown}",
        )


_JUDGES = {
    Setting.PUBLIC_ACCESS: _public_access,
    Setting.VERSIONING: _versioning,
    Setting.OBJECT_LOCK: _object_lock,
    Setting.TLS_ONLY: _tls_only,
    Setting.ENCRYPTION: _encryption,
    Setting.LIFECYCLE: _lifecycle,
    Setting.EXPIRY: _expiry,
}
