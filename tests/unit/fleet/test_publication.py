from __future__ import annotations

import json
from dataclasses import fields, is_dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dr_orchestrator.core.finding import Finding, Objective, Verdict
from dr_orchestrator.fleet.publication import (
    NotBelieved,
    Publication,
    believe,
    fingerprint,
)
from dr_orchestrator.fleet.status import JournalHead, SiteStatus
from dr_orchestrator.store.codec import canonical_json
from tests.support import practices
from tests.support.fleet import OTHER_SEED, SEED, practice, problem, signed, site
from tests.support.practices import NOW, all_met, finding

BOX = "riverside-box"
KEY = fingerprint(SEED)
FILE = signed(
    site(
        practice(*all_met("emr"), finding("emr", Objective.SKEW, Verdict.UNPROVEN, due=NOW)),
        problems=(problem(),),
        scheduler_seen_at=NOW - timedelta(seconds=30),
        journal=JournalHead(seq=4711, sha256="ab" * 32),
    )
)


def resigned(content: bytes, seed: bytes = SEED) -> bytes:
    """Sign again what somebody who has the site's key changed in a file."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    said = json.loads(content)
    said.pop("signature", None)
    purpose = b"dr-orchestrator published status\n"
    private = Ed25519PrivateKey.from_private_bytes(seed)
    said["signature"] = private.sign(purpose + canonical_json(said).encode()).hex()
    return canonical_json(said).encode()


def changed(**changes: Any) -> bytes:
    said = json.loads(FILE)
    said["status"].update(changes)
    return canonical_json(said).encode()


def test_believe_returns_what_was_signed() -> None:
    said = believe(FILE, BOX, KEY)
    assert said.interval_seconds == 900
    assert said.status.practices[0].findings[-1].due == NOW
    assert signed(said.status) == FILE


def test_file_is_json_that_anybody_can_read() -> None:
    said = json.loads(FILE)
    assert set(said) == {"interval_seconds", "key", "schema", "signature", "status"}
    assert said["schema"] == 1
    assert said["status"]["made_at"] == "2026-11-22T01:15:00.000000Z"


def test_believe_does_not_care_how_the_json_is_laid_out() -> None:
    loose = json.dumps(json.loads(FILE), indent=2).encode()
    assert believe(loose, BOX, KEY) == believe(FILE, BOX, KEY)


@given(st.integers(0, len(FILE) - 2), st.integers(1, 255))
def test_believe_notices_any_changed_byte(where: int, flip: int) -> None:
    damaged = bytearray(FILE)
    damaged[where] ^= flip
    try:
        said = believe(bytes(damaged), BOX, KEY)
    except NotBelieved:
        return
    assert signed(said.status) == FILE  # only a letter's case in the signature, say


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"null",
        b"{}",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"key": 7, "signature": "zz", "status": NaN}',
        b'{"key": "\\ud800", "signature": ""}',
        FILE[: len(FILE) // 2],
        changed(made_at="2027-01-01T00:00:00.000000Z"),
    ],
)
def test_believe_refuses_what_nobody_signed(content: bytes) -> None:
    with pytest.raises(NotBelieved, match="damaged, or was changed"):
        believe(content, BOX, KEY)


def test_believe_refuses_another_key_and_names_it() -> None:
    other = signed(site(), OTHER_SEED)
    with pytest.raises(NotBelieved, match=fingerprint(OTHER_SEED)):
        believe(other, BOX, KEY)


def test_believe_refuses_a_site_that_nobody_named_and_says_which_key_it_has() -> None:
    with pytest.raises(NotBelieved, match=f"no such site.*{KEY}"):
        believe(FILE, BOX, None)


def test_believe_refuses_the_file_of_another_site() -> None:
    with pytest.raises(NotBelieved, match="another site"):
        believe(signed(site(name="lakeside-box")), BOX, KEY)


def test_believe_refuses_a_key_swapped_within_the_file() -> None:
    said = json.loads(FILE)
    said["key"] = json.loads(signed(site(), OTHER_SEED))["key"]
    with pytest.raises(NotBelieved, match="does not fit"):
        believe(canonical_json(said).encode(), BOX, KEY)


def test_believe_refuses_a_newer_format_and_says_what_to_do() -> None:
    newer = resigned(canonical_json({**json.loads(FILE), "schema": 2}).encode())
    with pytest.raises(NotBelieved, match="update this one"):
        believe(newer, BOX, KEY)


def test_believe_takes_a_file_with_more_in_it() -> None:
    more = resigned(canonical_json({**json.loads(FILE), "later": [1]}).encode())
    assert believe(more, BOX, KEY) == believe(FILE, BOX, KEY)


@pytest.mark.parametrize(
    "changes",
    [
        {"made_at": "2026-11-22T01:15:00"},
        {"made_at": "0001-01-01T00:00:00+23:00"},
        {"made_at": 1e999},
        {"practices": [{"practice": 7}]},
        {"practices": {}},
        {"problems": None},
        {"journal": {"seq": "x", "sha256": ""}},
    ],
)
def test_believe_refuses_a_site_that_is_not_in_its_right_mind(changes: dict[str, Any]) -> None:
    if changes.get("made_at") == float("inf"):
        changes = {"made_at": 10**400}
    with pytest.raises(NotBelieved, match="does not hold what it should"):
        believe(resigned(changed(**changes)), BOX, KEY)


@pytest.mark.parametrize("seconds", [0, -1, 1e12])
def test_believe_refuses_an_interval_that_would_never_be_silent(seconds: float) -> None:
    endless = resigned(canonical_json({**json.loads(FILE), "interval_seconds": seconds}).encode())
    with pytest.raises(NotBelieved):
        believe(endless, BOX, KEY)


def test_a_signature_serves_for_nothing_else() -> None:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    said = json.loads(FILE)
    signature, public = bytes.fromhex(said.pop("signature")), bytes.fromhex(said["key"])
    with pytest.raises(InvalidSignature):
        Ed25519PublicKey.from_public_bytes(public).verify(signature, canonical_json(said).encode())


WORDS_OF_OURS = {
    "Publication": {"key"},
    "SiteStatus": {"site", "version"},
    "JournalHead": {"sha256"},
    "SiteProblem": {"id", "practice", "system", "what", "next"},
    "PracticeStatus": {"practice", "name", "titles", "paused", "forecasts"},
    "Finding": {
        *("practice", "system", "repository"),
        *("promised", "achieved", "reason"),
    },
    "NewestPoint": {"system", "repository"},
    "NewestTest": {"system", "repository"},
    "NewestRun": {"system", "repository"},
    "Protected": {"system", "repository"},
}
"""Every text that is published. One more is to be thought about: may patient data get into it?"""


def test_no_other_text_is_published_than_ids_and_words_of_ours() -> None:
    found: dict[str, set[str]] = {}

    def walk(noun: type) -> None:
        hints = get_type_hints(noun)
        texts = {each.name for each in fields(noun) if _holds_text(hints[each.name])}
        found[noun.__name__] = texts
        for each in fields(noun):
            for kind in _within(hints[each.name]):
                if is_dataclass(kind) and isinstance(kind, type):
                    walk(kind)

    walk(Publication)
    assert found == WORDS_OF_OURS


def _within(hint: Any) -> list[Any]:
    return [hint, *(inner for each in get_args(hint) for inner in _within(each))]


def _holds_text(hint: Any) -> bool:
    certain = (int, float, bool, datetime, type(None), Enum)
    return any(
        kind is str or kind in {Any, object, bytes}
        for kind in _within(hint)
        if not (isinstance(kind, type) and issubclass(kind, certain))
    )


def test_status_of_a_real_judge_survives_the_way() -> None:
    sample = practices.broken()
    whole = site(practice(*sample.findings))
    assert believe(signed(whole), BOX, KEY).status == whole


def test_finding_is_published_with_all_its_fields() -> None:
    said: SiteStatus = believe(FILE, BOX, KEY).status
    names = {each.name for each in fields(Finding)}
    assert names == set(json.loads(FILE)["status"]["practices"][0]["findings"][0])
    assert replace(said) == said
