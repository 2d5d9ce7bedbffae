"""Somebody alters the evidence after it was written, in 10,000 ways: both verifiers find each, and
say where.

The export is of two chains. One changed its key, and was signed before and after. Who checks it
knows the fingerprints, as an auditor does; where lines were removed, also the heads that somebody
noted, since nothing else tells of an end that was cut where it was signed.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from random import Random

import pytest

from dr_orchestrator.evidence import signing
from dr_orchestrator.evidence.chain import verify
from dr_orchestrator.evidence.line import KEY_SUCCEEDED, EvidenceLine
from dr_orchestrator.evidence.signing import Signer, fingerprint, succession
from tests.support.chains import WrittenChain, chained, stand_alone, written

SITE = WrittenChain("site").closed_runs(2).checkpoint().closed_runs(1)
SITE.succeed(Signer(b"new".ljust(32))).closed_runs(1).checkpoint().closed_runs(2).checkpoint()
RESPONDER = WrittenChain("responder").closed_runs(1).checkpoint()
LINES = written(SITE, RESPONDER)
KEYS = {fingerprint(str(each.lines[0].about["key"])) for each in (SITE, RESPONDER)}
HEADS = {SITE.head, RESPONDER.head}
FORGERS = [Signer(bytes([each]) * 32) for each in (1, 2)]


@dataclass(frozen=True)
class Tampered:
    """An export that was altered, and in which of its lines."""

    lines: list[bytes]
    first: int
    last: int


def byte_changed(random: Random) -> Tampered:
    content = b"\n".join(LINES)
    place = random.randrange(len(content))
    other = bytes([random.choice([each for each in range(256) if each != content[place]])])
    return _cut(content, place, content[:place] + other + content[place + 1 :])


def bytes_put_in(random: Random) -> Tampered:
    content = b"\n".join(LINES)
    place = random.randrange(len(content))
    new = random.choice(
        [b" ", b"\n", b"\r", b"\0", b"\t", b"x", b"0", b"\xc3\xa9", b'"', b"{}", b"\n\n"]
    )
    return _cut(content, place, content[:place] + new + content[place:])


def bytes_removed(random: Random) -> Tampered:
    content = b"\n".join(LINES)
    place = random.randrange(len(content))
    end = place + random.randint(1, 80)
    return _cut(content, place, content[:place] + content[end:])


def _cut(content: bytes, place: int, altered: bytes) -> Tampered:
    line = content[:place].count(b"\n") + 1
    return Tampered(altered.split(b"\n"), line, line + 1)


def lines_removed(random: Random) -> Tampered:
    first = random.randrange(len(LINES))
    end = random.randint(first + 1, len(LINES))
    return Tampered(LINES[:first] + LINES[end:], first, first + 1)


def line_put_in(random: Random) -> Tampered:
    place = random.randint(0, len(LINES))
    return Tampered([*LINES[:place], random.choice(LINES), *LINES[place:]], place, place + 2)


def lines_swapped(random: Random) -> Tampered:
    one, other = sorted(random.sample(range(len(LINES)), 2))
    lines = [*LINES]
    lines[one], lines[other] = lines[other], lines[one]
    return Tampered(lines, one, other + 2)


def line_moved(random: Random) -> Tampered:
    lines = [*LINES]
    start, end = random.sample(range(len(LINES)), 2)
    lines.insert(end, lines.pop(start))
    return Tampered(lines, min(start, end), max(start, end) + 2)


def space_added(random: Random) -> Tampered:
    lines = [*LINES]
    place = random.randrange(len(lines))
    where = random.choice([each.end() for each in re.finditer(rb"[:,{}]|^|$", lines[place])])
    lines[place] = lines[place][:where] + random.choice([b" ", b"\t", b"\r"]) + lines[place][where:]
    return Tampered(lines, place + 1, place + 2)


def chains_mixed(random: Random) -> Tampered:
    one, other = LINES[: len(SITE.lines)], LINES[len(SITE.lines) :]
    place = random.randint(1, len(one) - 1)
    share = random.randint(1, len(other))
    mixed = one[:place] + other[:share] + one[place:] + other[share:]
    return Tampered(mixed, place, len(mixed))


def chain_twice(random: Random) -> Tampered:
    again = random.choice([SITE, RESPONDER])
    longer = WrittenChain(bytes.fromhex(again.id).strip(b"\0").decode())
    longer.closed_runs(random.randint(0, 5)).checkpoint()
    return Tampered([*LINES, *written(random.choice([again, longer]))], len(LINES), len(LINES) + 2)


def made_to_fit(random: Random) -> Tampered:
    """Whoever altered it chained all that follows anew, or signed it with a key of his own."""
    return random.choice(_made_to_fit())


@functools.cache
def _made_to_fit() -> list[Tampered]:
    end = len(SITE.lines)
    return [
        Tampered(written(lines, RESPONDER), first, end + 1) for first, lines in _forged(SITE.lines)
    ]


def _forged(lines: list[EvidenceLine]) -> Iterator[tuple[int, list[EvidenceLine]]]:
    yield 1, chained([replace(each, practice="lakeside") for each in lines])
    yield 1, chained([replace(each, chain="0" * 32) for each in lines])
    for forger in FORGERS:
        yield 1, chained(lines, signer=forger)
        yield 1, chained(lines, after=1, signer=forger)
        for place in range(1, len(lines), 2):
            yield place + 1, chained(lines, after=place, signer=forger)
            yield place + 1, _succession_forged(lines, place, forger)
    for place, line in enumerate(lines):
        for altered in _altered(line):
            new = [*lines[:place], altered, *lines[place + 1 :]]
            yield place + 1, new
            yield place + 1, chained(new, after=place + 1)
        if 0 < place < len(lines) - 1:
            yield place, chained(_numbered([*lines[:place], *lines[place + 1 :]]), after=place)
            yield place, chained(_numbered([*lines[:place], lines[1], *lines[place:]]), after=place)


def _altered(line: EvidenceLine) -> Iterator[EvidenceLine]:
    yield replace(line, at=line.at.replace("2026", "2025"))
    yield replace(line, kind="run_opened")
    yield replace(line, number=line.number + 1)
    yield replace(line, record="cd" * 32)
    yield replace(line, previous="cd" * 32)
    for name, said in line.about.items():
        yield replace(line, about={**line.about, name: f"{said}"[::-1]})
        yield replace(line, about={each: fact for each, fact in line.about.items() if each != name})
    yield replace(line, about={**line.about, "besides": 1})


def _succession_forged(lines: list[EvidenceLine], place: int, forger: Signer) -> list[EvidenceLine]:
    """Return lines with one put in that names the forger's key, who signs all that follows."""
    before = chained([*lines[:place], replace(lines[place], kind=KEY_SUCCEEDED, record="")])[-1]
    about = succession(
        forger,
        forger.public,
        practice=before.practice,
        chain=before.chain,
        number=before.number,
        at=before.at,
        previous=before.previous,
    )
    genuine = SITE.lines[0].about["key"] if place < 6 else SITE.signer.public
    named = replace(before, about={**about, "key": genuine})
    return chained(
        _numbered([*lines[:place], named, *lines[place:]]), after=place + 1, signer=forger
    )


def _numbered(lines: list[EvidenceLine]) -> list[EvidenceLine]:
    return [replace(line, number=number) for number, line in enumerate(lines, 1)]


WAYS: dict[Callable[[Random], Tampered], int] = {
    byte_changed: 3000,
    bytes_put_in: 800,
    bytes_removed: 800,
    lines_removed: 800,
    line_put_in: 800,
    lines_swapped: 600,
    line_moved: 600,
    space_added: 500,
    chains_mixed: 300,
    chain_twice: 300,
    made_to_fit: 1500,
}


@pytest.fixture(scope="module", autouse=True)
def _each_signature_is_looked_at_once() -> Iterator[None]:
    """Keep what came of each signature: the same few are checked thousands of times."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(signing, "fits", functools.cache(signing.fits))
        patch.setattr(stand_alone(), "fits", functools.cache(stand_alone().fits))
        yield


Verifier = Callable[[list[bytes], set[str]], tuple[list[int], set[str]]]
"""Lines and expected heads -> the lines in which something is wrong, and the heads missing."""


def ours(lines: list[bytes], heads: set[str]) -> tuple[list[int], set[str]]:
    found = verify(lines, fingerprints=KEYS, expect=heads)
    places = [fault.where.partition("(")[0] for fault in found.faults]
    assert found.is_sound is not bool(found.faults or found.missing)
    return [int(each) for each in re.findall(r"\d+", " ".join(places))], set(found.missing)


def the_stand_alone(lines: list[bytes], heads: set[str]) -> tuple[list[int], set[str]]:
    missing = {*heads}
    return [line for line, _ in stand_alone().check(lines, KEYS, missing, [])], missing


VERIFIERS = (ours, the_stand_alone)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_tampering_is_found_and_its_place_named_when_evidence_was_altered(
    way: Callable[[Random], Tampered],
) -> None:
    random = Random(way.__name__)
    heads = HEADS if way in {lines_removed, bytes_removed} else set()
    for _ in range(WAYS[way]):
        tampered = way(random)
        if tampered.lines == LINES:
            continue
        for verifier in VERIFIERS:
            places, missing = verifier(tampered.lines, heads)
            assert places or missing, tampered
            named = any(tampered.first <= each <= tampered.last for each in places)
            assert named or not places, (tampered, places)


def test_ways_are_ten_thousand() -> None:
    assert sum(WAYS.values()) == 10_000


@pytest.mark.parametrize("verifier", VERIFIERS)
def test_what_was_not_altered_is_sound(verifier: Verifier) -> None:
    assert verifier(LINES, HEADS) == ([], set())
    turned = [*LINES[len(SITE.lines) :], *LINES[: len(SITE.lines)]]
    assert verifier(turned, HEADS) == ([], set())


@pytest.mark.parametrize("verifier", VERIFIERS)
def test_tail_that_was_cut_at_a_checkpoint_is_found_by_the_head_that_was_noted(
    verifier: Verifier,
) -> None:
    assert verifier(written(SITE.lines[:-3], RESPONDER), HEADS) == ([], {SITE.head})
