"""The verifier that goes with an export, and that shares no line with ours."""

from __future__ import annotations

import ast
import json
import sys
from dataclasses import replace
from typing import Any

import pytest

from dr_orchestrator.evidence.chain import verify
from dr_orchestrator.evidence.line import hash_of
from dr_orchestrator.evidence.signing import fits
from tests.support.chains import STAND_ALONE, WrittenChain, chained, stand_alone, written

# RFC 8032, section 7.1: public key, message, signature.
VECTORS = [
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        (
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b"
            "d25bf5f0595bbe24655141438e7a100b"
        ),
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        (
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c"
            "387b2eaeb4302aeeb00d291612bb0c00"
        ),
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        (
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc659"
            "4a7c15e9716ed28dc027beceea1ec40a"
        ),
    ),
]
PUBLIC, MESSAGE, SIGNATURE = (bytes.fromhex(each) for each in VECTORS[2])
ORDER = 2**252 + 27742317777372353535851937790883648493
P = 2**255 - 19


@pytest.mark.parametrize(("public", "message", "signature"), VECTORS)
def test_signature_of_rfc_8032_fits(public: str, message: str, signature: str) -> None:
    said = bytes.fromhex(message)
    assert stand_alone().fits(bytes.fromhex(public), bytes.fromhex(signature), said)
    assert not stand_alone().fits(bytes.fromhex(public), bytes.fromhex(signature), said + b"x")


def larger(signature: bytes) -> bytes:
    """Return the signature with its second half larger by the order: the same point."""
    s = int.from_bytes(signature[32:], "little") + ORDER
    return signature[:32] + s.to_bytes(32, "little")


@pytest.mark.parametrize(
    ("public", "signature"),
    [
        (PUBLIC, larger(SIGNATURE)),
        (PUBLIC, SIGNATURE[:63]),
        (PUBLIC, SIGNATURE + b"\0"),
        (PUBLIC, b""),
        (PUBLIC, b"\2" + SIGNATURE[1:]),
        (PUBLIC[:31], SIGNATURE),
        (b"\2" + PUBLIC[1:], SIGNATURE),
        (b"", SIGNATURE),
    ],
)
def test_what_is_no_signature_does_not_fit(public: bytes, signature: bytes) -> None:
    assert not stand_alone().fits(public, signature, MESSAGE)
    assert not fits(public.hex(), signature.hex(), MESSAGE)


@pytest.mark.parametrize(
    "encoded",
    [
        (P + 1).to_bytes(32, "little"),  # y = 1, written as no other point is
        (1 + 2**255).to_bytes(32, "little"),  # x = 0, and its sign is set
        (2).to_bytes(32, "little"),  # on no curve
    ],
)
def test_what_is_no_point_is_none(encoded: bytes) -> None:
    assert stand_alone().point_of(encoded) is None


def test_one_point_is_nought() -> None:
    assert stand_alone().point_of((1).to_bytes(32, "little")) == (0, 1, 1, 0)


def test_number_that_is_not_the_next_is_a_fault_even_where_it_was_signed() -> None:
    chain = WrittenChain("site").closed_runs(2).checkpoint()
    lines = [*chain.lines[:2], *(replace(each, number=each.number + 1) for each in chain.lines[2:])]
    gap = written(chained(lines, signer=chain.signer))
    assert [each.where[:13] for each in verify(gap).faults] == ["lines 2 and 3"]
    assert list(stand_alone().check(gap, set(), set(), [])) == [
        (3, "number 4 comes where 3 is due")
    ]


def test_line_that_can_be_read_in_two_ways_is_a_fault_even_where_it_was_signed() -> None:
    """One name twice: programs differ in which of the two they take."""
    chain = WrittenChain("site").closed_runs(1)
    twice = chain.texts[1].replace('"reason":', '"outcome":"failed","reason":').encode()
    found = list(stand_alone().check([twice], set(), set(), []))
    assert found[0] == (1, "this is no line of evidence as it was written")


@pytest.mark.parametrize("about", [{}, {"key": 1}, {"key": "zz", "signature": "00"}])
def test_checkpoint_without_key_or_signature_is_a_fault(about: dict[str, str]) -> None:
    chain = WrittenChain("site").checkpoint()
    lines = written([chain.lines[0], replace(chain.lines[1], about=about)])
    assert [line for line, _ in stand_alone().check(lines, set(), set(), [])] == [2]


def test_last_line_is_altered_by_a_second_signature_beside_the_first() -> None:
    """Without any key: what is signed is the line without the signature that `about` holds, and
    with whatever else says `signature`.
    """
    chain = WrittenChain("site").closed_runs(1).checkpoint()
    *lines, last = written(chain)
    said = json.loads(last)
    more = _canonical({**said, "signature": said["about"]["signature"]})
    assert list(stand_alone().check([*lines, more], {chain.fingerprint}, set(), []))


def _canonical(said: Any) -> bytes:
    text = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()


@pytest.mark.parametrize(
    ("line", "altered"),
    [
        (1, {"more": 1}),
        (1, {"as": {}}),
        (1, {"schema": True}),
        (1, {"number": 2.0}),
        (1, {"at": "yesterday"}),
        (1, {"record": "none"}),
        (1, {"about": {"share": 1.5}}),
        (1, {"about": {"share": float("nan")}}),
        (1, {"about": {"bytes": 2**53}}),
        (1, {"about": {"é": 1}}),
        (1, {"about": []}),
        (2, {"record": "ab" * 32}),
        (2, {"number": 2**53}),
        (2, {"about": {"more": 1}}),
    ],
)
def test_what_ours_does_not_take_it_does_not_take_although_it_is_signed(
    line: int, altered: dict[str, Any]
) -> None:
    chain = WrittenChain("site").closed_runs(1).checkpoint()
    said = [json.loads(each) for each in written(chain)]
    said[line].update(altered)
    said[2]["previous"] = hash_of(_canonical(said[1]).decode())
    about = {"key": chain.signer.public, **altered.get("about", {})} if line == 2 else None
    said[2]["about"] = about or {"key": chain.signer.public}
    said[2]["about"]["signature"] = chain.signer.sign(_canonical(said[2]))
    lines = [_canonical(each) for each in said]
    assert not verify(lines, fingerprints={chain.fingerprint}).is_sound
    assert list(stand_alone().check(lines, {chain.fingerprint}, set(), []))


def test_one_chain_of_two_practices_is_found_by_both() -> None:
    two = [WrittenChain("site", practice=each).checkpoint() for each in ("riverside", "lakeside")]
    assert not verify(written(*two)).is_sound
    assert list(stand_alone().check(written(*two), set(), set(), []))


def test_it_is_python_3_8_with_nothing_but_the_standard_library() -> None:
    tree = ast.parse(STAND_ALONE.read_text(), feature_version=(3, 8))
    modules = {
        name.name if isinstance(node, ast.Import) else node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in node.names
    }
    assert modules <= sys.stdlib_module_names
