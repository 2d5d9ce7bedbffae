from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dr_orchestrator.evidence.chain import MOST_FAULTS, Verification, verify
from dr_orchestrator.evidence.line import EvidenceLine, read_line
from dr_orchestrator.evidence.signing import Signer, fingerprint
from tests.support.chains import WrittenChain, chained, stand_alone, written
from tests.support.site import ROOT

OTHER = Signer(b"other".ljust(32))
SITE = WrittenChain("site").closed_runs(3).checkpoint().closed_runs(2).checkpoint()
RESPONDER = WrittenChain("responder").closed_runs(1).checkpoint()


def what(verification: Verification) -> list[tuple[str, str]]:
    return [
        (each.where.partition(" (")[0], each.what.partition(":")[0]) for each in verification.faults
    ]


def test_sound_chain_is_sound_and_told_about() -> None:
    found = verify(written(SITE), fingerprints=[SITE.fingerprint], expect=[SITE.head[:12]])
    (chain,) = found.chains
    assert found.is_sound
    assert (chain.practice, chain.lines, chain.head) == ("riverside", 8, SITE.head)
    assert (chain.first_at, chain.last_at) == (SITE.lines[0].at, SITE.lines[-1].at)
    assert (chain.keys, chain.unsigned) == ((SITE.fingerprint,), 0)


def test_lines_may_have_their_newline() -> None:
    assert verify([line + b"\n" for line in written(SITE)]).is_sound


def test_two_stores_of_one_practice_go_together() -> None:
    keys = [SITE.fingerprint, RESPONDER.fingerprint]
    found = verify(written(SITE, RESPONDER), fingerprints=keys, expect=[RESPONDER.head, SITE.head])
    assert found.is_sound
    assert [each.chain for each in found.chains] == [SITE.id, RESPONDER.id]


def test_same_chain_twice_is_a_fault_whatever_its_tail() -> None:
    longer = WrittenChain("site").closed_runs(3).checkpoint().closed_runs(1).checkpoint()
    for again in (SITE, longer):
        assert what(verify(written(SITE, again))) == [
            ("line 9", "this chain was there before"),
        ]


def test_nothing_is_no_evidence() -> None:
    found = verify([])
    assert (found.is_sound, what(found)) == (
        False,
        [("the beginning", "there is no line of evidence")],
    )


def test_line_of_a_newer_version_is_said_to_be_one_and_proves_nothing() -> None:
    lines = written(SITE)
    lines.append(lines[-1].replace(b'"schema":1}', b'"schema":2}'))

    found = verify(lines)

    assert not found.is_sound
    assert "it says schema 2, which only a newer version reads" in found.faults[0].what


def test_clock_that_was_put_back_is_no_fault() -> None:
    lines = [*SITE.lines]
    lines[2] = replace(lines[2], at="2021-01-01T00:00:00.000000Z")
    assert verify(written(chained(lines, signer=SITE.signer))).is_sound


def test_end_without_signature_is_a_fault_unless_it_may_be() -> None:
    begun = WrittenChain("new").closed_runs(2)
    assert what(verify(written(begun))) == [("line 3", "the chain ends here without a signature")]
    found = verify(written(begun), fingerprints=[begun.fingerprint], must_be_signed=False)
    assert (found.is_sound, found.chains[0].unsigned) == (True, 3)


@pytest.mark.parametrize("head", ["0" * 64, SITE.head[:11], SITE.head + "0", ""])
def test_head_that_no_line_has_is_missing(head: str) -> None:
    found = verify(written(SITE), expect=[head, SITE.head])
    assert (found.is_sound, found.faults, found.missing) == (False, (), (head,))


def test_any_line_is_found_by_its_hash_in_large_letters_too() -> None:
    heads = [line.previous.upper() for line in SITE.lines[1:]]
    assert verify(written(SITE), expect=heads).is_sound


class TestKeys:
    def test_key_that_the_one_before_named_follows(self) -> None:
        chain = WrittenChain("site").closed_runs(1).succeed(OTHER).closed_runs(1).checkpoint()
        first = fingerprint(chain.lines[0].about["key"])  # type: ignore[arg-type]
        found = verify(written(chain), fingerprints=[first])
        assert (found.is_sound, found.chains[0].keys) == (True, (first, chain.fingerprint))
        assert verify(written(chain), fingerprints=[chain.fingerprint]).is_sound

    def test_chain_of_another_key_than_the_known_one_is_a_fault(self) -> None:
        found = verify(written(SITE), fingerprints=[fingerprint(OTHER.public)])
        assert what(found) == [
            ("line 8", "the chain is not signed with a key that was named, but with")
        ]
        assert (found.is_sound, found.is_altered) == (False, False)

    def test_key_that_only_was_named_stands_for_nothing(self) -> None:
        """Whoever writes a chain of his own can name the genuine key as the next one."""
        chain = WrittenChain("forged").checkpoint().succeed(OTHER)
        found = verify(
            written(chain), fingerprints=[fingerprint(OTHER.public)], must_be_signed=False
        )
        assert not found.is_sound

    def test_key_that_nobody_named_is_a_fault(self) -> None:
        chain = WrittenChain("site").closed_runs(1)
        chain.signer = OTHER
        assert what(verify(written(chain.checkpoint()))) == [
            ("line 3", "signed with a key that nobody named")
        ]

    @pytest.mark.parametrize(
        "about",
        [
            {"signature": "0" * 128},
            {"signature": str(SITE.lines[-1].about["signature"]).upper()},
            {"signature": " " + str(SITE.lines[-1].about["signature"])},
            {"besides": "words that nobody signed"},
            {"signature": None},
        ],
    )
    def test_signature_that_is_not_as_it_was_written_does_not_fit(
        self, about: dict[str, str]
    ) -> None:
        last = replace(SITE.lines[-1], about={**SITE.lines[-1].about, **about})
        assert what(verify(written([*SITE.lines[:-1], last]))) == [
            ("line 8", "its signature does not fit")
        ]

    @pytest.mark.parametrize("key", [None, 1, "", "zz" * 32, "AB" * 32, "ab" * 31])
    def test_what_is_no_key_is_a_fault(self, key: str | int | None) -> None:
        first = replace(SITE.lines[0], about={"key": key})
        assert ("line 1", "it names no key") in what(verify(written([first])))


class TestOrder:
    def lines(self) -> list[EvidenceLine]:
        return [*SITE.lines]

    def test_line_that_was_altered_lies_between_two(self) -> None:
        lines = self.lines()
        lines[2] = replace(lines[2], about={**lines[2].about, "outcome": "failed"})
        assert what(verify(written(lines))) == [
            ("lines 3 and 4", "it does not carry the hash of the line before")
        ]

    def test_lines_that_were_removed_are_named(self) -> None:
        lines = self.lines()
        del lines[2:4]
        (fault,) = verify(written(lines)).faults
        assert fault.where == f"lines 2 and 3 (numbers 2 and 5 of chain {SITE.id[:8]}…)"
        assert fault.what == "lines were removed: 5 comes where 3 is due"

    def test_line_that_is_there_twice_is_named(self) -> None:
        lines = self.lines()
        lines.insert(3, lines[2])
        assert what(verify(written(lines)))[0] == ("lines 3 and 4", "a line was put in, or moved")

    def test_beginning_that_was_removed_is_missed(self) -> None:
        assert what(verify(written(self.lines()[2:]))) == [
            ("line 1", "this chain does not begin with its first line")
        ]

    def test_chain_that_begins_anew_is_a_fault(self) -> None:
        lines = self.lines()
        lines[3] = replace(lines[0], number=4)
        anew = written(chained(lines, signer=SITE.signer))
        assert what(verify(anew)) == [("line 4", "a chain begins anew in its middle")]
        found = list(stand_alone().check(anew, set(), set(), []))
        assert found == [(4, "a chain begins anew in its middle")]

    def test_first_line_that_follows_another_is_a_fault(self) -> None:
        lines = self.lines()
        lines[0] = replace(lines[0], previous="ab" * 32)
        assert ("line 1", "the first line of a chain carries the hash of one before it") in what(
            verify(written(lines))
        )

    def test_chains_that_are_mixed_are_a_fault(self) -> None:
        mixed = written(self.lines()[:2], RESPONDER, self.lines()[2:])
        assert ("line 6", "this chain was there before") in what(verify(mixed))


LINE = written(SITE)[2]
NOISE = {
    "no UTF-8": LINE.replace(b"done", b"d\xff\xfene"),
    "half a surrogate pair": LINE.replace(b"done", rb"\ud800"),
    "no JSON": b"hello",
    "blank": b"",
    "a list": b"[]",
    "a number": b"17",
    "carriage return": LINE + b"\r",
    "NUL": LINE + b"\0",
    "NUL inside": LINE.replace(b"done", b"do\0ne"),
    "byte order mark": b"\xef\xbb\xbf" + LINE,
    "UTF-16": LINE.decode().encode("utf-16"),
    "trailing data": LINE + LINE,
    "space": LINE.replace(b":", b": ", 1),
    "space in what it says": LINE.replace(b'"reason":', b'"reason": '),
    "name twice": LINE.replace(b'"reason":', b'"outcome":"done","reason":'),
    "name twice outside": LINE.replace(b'"schema":1', b'"schema":1,"schema":1'),
    "escaped": LINE.replace(b"done", rb"d\u006fne"),
    "not sorted": LINE.replace(b'"outcome":"done","reason":', b'"run":"a","reason":'),
    "fraction": LINE.replace(b'"done"', b"1.5"),
    "whole fraction": LINE.replace(b'"done"', b"1.0"),
    "exponent": LINE.replace(b'"done"', b"1e2"),
    "infinity": LINE.replace(b'"done"', b"Infinity"),
    "large number": LINE.replace(b'"done"', b"9007199254740992"),
    "huge number": LINE.replace(b'"done"', b"9" * 5000),
    "minus nought": LINE.replace(b'"done"', b"-0"),
    "deep": LINE.replace(b'"done"', b"[" * 100_000 + b"]" * 100_000),
    "name that is not ASCII": LINE.replace(b'"run"', '"rün"'.encode()),
    "newer": LINE.replace(b'"schema":1', b'"schema":2'),
    "true for 1": LINE.replace(b'"schema":1', b'"schema":true'),
    "more": LINE.replace(b'"schema":1', b'"schema":1,"zeal":1'),
    "less": LINE.replace(b',"schema":1', b""),
    "another kind of chain": LINE.replace(b'"chain":"', b'"chain":"X'),
    "number as text": LINE.replace(b'"number":3', b'"number":"3"'),
    "time of another form": LINE.replace(b".000000Z", b"Z"),
    "practice that is none": LINE.replace(b'"riverside"', rb'"river\"side"'),
    "too long": LINE.replace(b"done", b"d" * (1 << 24)),
}


@pytest.mark.parametrize("noise", NOISE.values(), ids=NOISE)
def test_noise_is_one_fault_in_its_line(noise: bytes) -> None:
    lines = written(SITE)
    lines[2] = noise
    assert [where for where, _ in what(verify(lines))] == ["line 3"]
    lines = written(SITE)
    lines.insert(3, noise)
    assert [where for where, _ in what(verify(lines))] == ["line 4"]


@given(st.lists(st.binary(max_size=200), min_size=1))
@settings(max_examples=50)
def test_noise_of_any_kind_is_no_error(lines: list[bytes]) -> None:
    assert not verify(lines).is_sound


def test_many_faults_end_the_reading() -> None:
    endless = (b"noise" for _ in iter(int, 1))
    found = verify(endless, expect=["0" * 64])
    assert len(found.faults) == MOST_FAULTS + 1
    assert found.faults[-1].what == "and more: it was not read any further"


_ENDS = st.integers(0, 3).map(lambda count: ("runs", count)) | st.sampled_from(
    [("checkpoint", 0), ("succeed", 1), ("succeed", 2)]
)


@given(st.lists(st.lists(_ENDS, max_size=6), min_size=1, max_size=3))
@settings(max_examples=12)
def test_whatever_was_written_is_sound_to_both_verifiers(
    histories: list[list[tuple[str, int]]],
) -> None:
    chains = []
    for place, history in enumerate(histories):
        chain = WrittenChain(f"store {place}")
        for deed, count in history:
            if deed == "runs":
                chain.closed_runs(count)
            elif deed == "checkpoint":
                chain.checkpoint()
            else:
                chain.succeed(Signer(bytes([count]) * 32))
        chains.append(chain.checkpoint())
    keys = {fingerprint(str(each.lines[0].about["key"])) for each in chains}
    heads = {each.head for each in chains}
    lines = written(*chains)
    assert verify(lines, fingerprints=keys, expect=heads).is_sound
    assert list(stand_alone().check(lines, keys, heads, [])) == []
    assert heads == set()


def test_line_reads_back_as_it_was_written() -> None:
    assert [read_line(text) for text in SITE.texts] == SITE.lines
    with pytest.raises(ValueError, match="newer"):
        read_line(json.dumps({"schema": 2}))


def test_example_of_the_reference_is_sound() -> None:
    reference = (ROOT / "docs/reference/evidence.md").read_text()
    example = reference.partition("```jsonl\n")[2].partition("```")[0]
    assert verify(example.encode().splitlines()).is_sound
