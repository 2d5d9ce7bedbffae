"""Checks an export of evidence. It needs Python 3.8 or newer, and nothing else of anybody's.

    python3 verify_evidence.py FILE.zip --key FINGERPRINT [--expect HEAD]...

Inside an export it is `__main__.py`: `python3 FILE.zip --key FINGERPRINT` runs it. The fingerprint
comes from the practice's own page or mails, never from the file that is checked.

Each line carries the SHA-256 of the line before it. So the last checkpoint of a chain, signed with
Ed25519, covers all that is before it, the earlier checkpoints too: those are not checked one by
one. Each change of the key is. Ends with 0 where all is as it was written, 1 where it is not, 2
where it was called wrongly, and 4 where nobody said whose key it is.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import re
import sys
import zipfile
import zlib
from typing import Any, Iterable, Iterator, Tuple

SOUND, ALTERED, USAGE, NOT_PROVEN = 0, 1, 2, 4
MOST_FAULTS, LONGEST_LINE = 20, 1 << 24
Point = Tuple[int, int, int, int]
"""On the curve: x / z, y / z, z, x * y / z."""
P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P


def point_of(encoded: bytes) -> Point | None:
    """Return the point that 32 bytes stand for; None where it is none (RFC 8032, 5.1.3)."""
    number = int.from_bytes(encoded, "little")
    y, sign = number & (2**255 - 1), number >> 255
    u, v = (y * y - 1) % P, (D * y * y + 1) % P
    x = u * v**3 * pow(u * v**7, (P - 5) // 8, P) % P
    if (v * x * x + u) % P == 0:
        x = x * pow(2, (P - 1) // 4, P) % P
    if len(encoded) != 32 or y >= P or (v * x * x - u) % P or (x == 0 and sign):
        return None
    x = P - x if x & 1 != sign else x
    return x, y, 1, x * y % P


def add(p: Point, q: Point) -> Point:
    """Return the sum of two points (RFC 8032, 5.1.4)."""
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % P, (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * p[3] * q[3] * D % P, 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def times(number: int, point: Point) -> Point:
    """Return the sum of so many times a point."""
    total = (0, 1, 1, 0)
    while number:
        total = add(total, point) if number & 1 else total
        point, number = add(point, point), number >> 1
    return total


def fits(key: bytes, signature: bytes, message: bytes) -> bool:
    """Return whether it is the signature of that key over the message (RFC 8032, 5.1.7)."""
    base = point_of((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))
    r, a = point_of(signature[:32]), point_of(key)
    s = int.from_bytes(signature[32:], "little")
    if base is None or r is None or a is None or s >= ORDER or len(signature) != 64:
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little")
    left, right = times(s, base), add(r, times(k % ORDER, a))
    return all((left[i] * right[2] - right[i] * left[2]) % P == 0 for i in (0, 1))


class Chain:
    """One chain, as far as it was read."""

    def __init__(self, said: dict[str, Any]) -> None:
        self.name = (said["practice"], said["chain"])
        self.key = said["about"].get("key")  # the one in force
        self.signed_by: set[str] = set()  # fingerprints
        self.lines, self.number, self.head = 0, said["number"] - 1, "0" * 64
        self.first_at = self.last_at = said["at"]
        self.last = b"", said

    def take(self, raw: bytes, said: dict[str, Any]) -> Iterator[str]:
        """Read the next line; yield what is wrong with it."""
        if said["previous"] != self.head:
            yield "it does not carry the hash of the line before: one of the two was altered"
        if said["number"] != self.number + 1:
            yield f"number {said['number']} comes where {self.number + 1} is due"
        if said["kind"] == "chain_started" and said["number"] != 1:
            yield "a chain begins anew in its middle"
        if said["kind"] == "key_succeeded":
            yield from self.look_at_signature(raw, said)
            self.key = said["about"]["next"]
        self.lines, self.number, self.last_at = self.lines + 1, said["number"], said["at"]
        self.head, self.last = hashlib.sha256(raw).hexdigest(), (raw, said)

    def end(self, trusted: set[str]) -> Iterator[str]:
        """Yield what is wrong with how it ends."""
        if self.last[1]["kind"] == "checkpoint":
            yield from self.look_at_signature(*self.last)
        else:
            yield "the chain ends here without a signature: its end was removed"
        if trusted and trusted.isdisjoint(self.signed_by):
            yield "the chain is not signed with the key that was given"

    def look_at_signature(self, raw: bytes, said: dict[str, Any]) -> Iterator[str]:
        """Yield what is wrong with a signature: it is over the line as it is without it."""
        try:
            key, signature = (bytes.fromhex(said["about"][name]) for name in ("key", "signature"))
        except (KeyError, TypeError, ValueError):
            yield "it names no key, or has no signature"
            return
        signed = raw.replace(b',"signature":"%s"' % signature.hex().encode(), b"")
        if said["about"]["key"] != self.key:
            yield f"it is signed with a key that nobody named: {hashlib.sha256(key).hexdigest()}"
        elif fits(key, signature, signed):
            self.signed_by.add(hashlib.sha256(key).hexdigest())
        else:
            yield "its signature does not fit: it was altered, or a line before it"


def read(raw: bytes) -> dict[str, Any]:
    """Return what a line says."""
    said: dict[str, Any] = json.loads(raw.decode())
    written = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    if written.encode() != raw or said["schema"] != 1 or not isinstance(said["about"], dict):
        raise ValueError
    return said


def check(
    lines: Iterable[bytes], trusted: set[str], expected: set[str], chains: list[Chain]
) -> Iterator[tuple[int, str]]:
    """Yield which line, and what is wrong with it; put the chains into `chains`, and take the heads
    that were found out of `expected`.
    """
    count = 0
    for count, line in enumerate(lines, 1):
        raw = line[:-1] if line.endswith(b"\n") else line
        try:
            said = read(raw)
            if not chains or chains[-1].name != (said["practice"], said["chain"]):
                for fault in chains[-1].end(trusted) if chains else ():
                    yield count - 1, fault
                chain = Chain(said)
                if chain.name in [each.name for each in chains]:
                    yield count, "this chain was there before: it is there twice, or mixed"
                elif (said["kind"], said["number"]) != ("chain_started", 1):
                    yield count, "this chain does not begin with its first line: it was removed"
                chains.append(chain)
            for fault in chains[-1].take(raw, said):
                yield count, fault
            expected -= {each for each in expected if chains[-1].head.startswith(each)}
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            yield count, "this is no line of evidence as it was written"
    for fault in chains[-1].end(trusted) if chains else ["there is no evidence in it"]:
        yield count, fault


def lines_of(name: str) -> Iterator[bytes]:
    """Yield the lines of an export, or of its evidence.jsonl alone."""
    if zipfile.is_zipfile(name):
        with zipfile.ZipFile(name) as export, export.open("evidence.jsonl") as member:
            lines = io.BufferedReader(member, 1 << 20)  # type: ignore[type-var]
            yield from iter(lambda: lines.readline(LONGEST_LINE), b"")
    else:
        with open(name, "rb") as file:
            yield from iter(lambda: file.readline(LONGEST_LINE), b"")


def digest(text: str, least: int = 64) -> str:
    """Return a hash from the command line."""
    if not re.fullmatch(f"[0-9a-f]{{{least},64}}", text.lower()):
        raise argparse.ArgumentTypeError(f"{least} hex digits are needed at least")
    return text.lower()


def main() -> int:
    """Check a file, and say what came of it."""
    parser = argparse.ArgumentParser(description="Checks an export of evidence.")
    is_inside = zipfile.is_zipfile(sys.argv[0])
    parser.add_argument("file", nargs="?" if is_inside else None, default=sys.argv[0])
    parser.add_argument("--key", action="append", default=[], type=digest)
    parser.add_argument("--expect", action="append", default=[], type=lambda t: digest(t, 12))
    asked = parser.parse_args()
    trusted, missing, faults = set(asked.key), set(asked.expect), 0
    chains: list[Chain] = []
    try:
        for line, fault in check(lines_of(asked.file), trusted, missing, chains):
            faults += 1
            print(f"ALTERED: line {line}: {fault}" if faults <= MOST_FAULTS else "... and more")
            if faults > MOST_FAULTS:
                return ALTERED
    except (OSError, EOFError, KeyError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        print(f"this file cannot be read: {error}", file=sys.stderr)
        return USAGE
    for each in chains:
        print("practice {!a}, chain {!a}:".format(*each.name), each.lines, "lines")
        print(f"  from {each.first_at!a} to {each.last_at!a}, head {each.head}")
        print("  signed with the key", ", ".join(sorted(each.signed_by)) or "of nobody")
    for head in sorted(missing):
        print(f"MISSING: no line has the hash {head}: the end was removed, or it is another chain")
    if faults or missing:
        print("NOT SOUND: this is not what was written.")
        return ALTERED
    if not trusted:
        print(
            "NOT PROVEN: it goes together, but anybody could have made it. Say --key FINGERPRINT,"
        )
        print("with the fingerprint from the practice's own page or mails, not from this file.")
        return NOT_PROVEN
    print("SOUND: nothing was altered, removed, put in or moved since it was signed.")
    return SOUND


if __name__ == "__main__":
    sys.exit(main())
