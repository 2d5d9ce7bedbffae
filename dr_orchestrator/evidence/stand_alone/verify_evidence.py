"""Checks an export of evidence. It needs Python 3.8 or newer, and nothing else of anybody's.

    python3 verify_evidence.py FILE.zip --key FINGERPRINT... --expect HEAD...

Inside an export it is `__main__.py`: `python3 FILE.zip --key FINGERPRINT --expect HEAD` runs it.
Fingerprint and head come from the practice's own page or mails, never from the file itself.

Each line carries the SHA-256 of the line before it. So the last checkpoint of a chain, signed with
Ed25519, covers all that is before it, the earlier checkpoints too: those are not checked one by
one. Each change of the key is. Ends with 0 where each chain is as it was written, by a key that was
named, and holds a head that was expected; 1 where something was altered or is missing; 2 where it
was called wrongly; and 4 where nothing is wrong, and a key was not named, or no head expected: then
anybody could have made it, or its end could be missing.
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
MOST_FAULTS, LONGEST_LINE, LARGEST = 20, 1 << 24, 2**53 - 1
LINES = "evidence.jsonl"
UNNAMED = "the chain is not signed with a key that was named"
LINE = re.compile(
    rb'\{"about":\{.*\},"at":"[0-9]{4}(-[0-9]{2}){2}T([0-9]{2}:){2}[0-9]{2}\.[0-9]{6}Z",'
    rb'"chain":"[0-9a-f]{32}","kind":"[a-z_]+","number":[1-9][0-9]{0,14},'
    rb'"practice":"[A-Za-z0-9._-]+","previous":"[0-9a-f]{64}","record":"([0-9a-f]{64})?",'
    rb'"schema":1\}'
)
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
        self.last = said
        self.complete_to = ""  # the newest of its lines whose hash was expected
        self.is_named = False

    def take(self, raw: bytes, said: dict[str, Any]) -> Iterator[str]:
        """Read the next line; yield what is wrong with it."""
        if said["previous"] != self.head:
            yield "it does not carry the hash of the line before: one of the two was altered"
        if said["number"] != self.number + 1:
            yield f"number {said['number']} comes where {self.number + 1} is due"
        if said["kind"] == "chain_started" and said["number"] != 1:
            yield "a chain begins anew in its middle"
        if said["kind"] == "key_succeeded":
            yield from self.look_at_signature(said)
            self.key = said["about"].get("next")
        self.lines, self.number, self.last_at = self.lines + 1, said["number"], said["at"]
        self.head, self.last = hashlib.sha256(raw).hexdigest(), said

    def end(self, trusted: set[str]) -> Iterator[str]:
        """Yield what is wrong with how it ends."""
        if self.last["kind"] == "checkpoint":
            yield from self.look_at_signature(self.last)
        else:
            yield "the chain ends here without a signature: its end was removed"
        self.is_named = not trusted.isdisjoint(self.signed_by)
        if trusted and not self.is_named:
            yield UNNAMED

    def look_at_signature(self, said: dict[str, Any]) -> Iterator[str]:
        """Yield what is wrong with a signature: it is over the line as it is without it."""
        about = {**said["about"]}
        lengths = {"key": 64, "signature": 128}
        if said["kind"] == "key_succeeded":
            lengths["next"] = 64
        if said["record"] or {name: len(digits(each)) for name, each in about.items()} != lengths:
            yield "it does not name a key and have a signature, and nothing else"
            return
        key, signature = bytes.fromhex(about["key"]), bytes.fromhex(about.pop("signature"))
        signed = text_of({**said, "about": about}).encode()
        if about["key"] != self.key:
            yield f"it is signed with a key that nobody named: {hashlib.sha256(key).hexdigest()}"
        elif fits(key, signature, signed):
            self.signed_by.add(hashlib.sha256(key).hexdigest())
        else:
            yield "its signature does not fit: it was altered, or a line before it"


def digits(said: Any) -> str:
    """Return hexadecimal digits as they are; nothing where it is something else."""
    return said if isinstance(said, str) and re.fullmatch("[0-9a-f]*", said) else ""


def text_of(said: Any) -> str:
    """Return the one text of what is said (RFC 8785)."""
    return json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def read(raw: bytes) -> dict[str, Any]:
    """Return what a line says."""
    said: dict[str, Any] = json.loads(
        raw.decode(), parse_int=whole, parse_float=whole, parse_constant=whole, object_hook=named
    )
    if not LINE.fullmatch(raw) or len(said) != 9 or text_of(said).encode() != raw:
        raise ValueError
    return said


def whole(written: str) -> int:
    """Return a number: a whole one that every reader of JSON keeps."""
    if abs(int(written)) > LARGEST:
        raise ValueError
    return int(written)


def named(said: dict[str, Any]) -> dict[str, Any]:
    """Return what has names that every reader of JSON sorts alike."""
    if not all(name.isascii() for name in said):
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
                if chain.name[1] in [each.name[1] for each in chains]:
                    yield count, "this chain was there before: it is there twice, or mixed"
                elif (said["kind"], said["number"]) != ("chain_started", 1):
                    yield count, "this chain does not begin with its first line: it was removed"
                chains.append(chain)
            for fault in chains[-1].take(raw, said):
                yield count, fault
            found = {each for each in expected if chains[-1].head.startswith(each)}
            if found:
                chains[-1].complete_to = "line {number} of {at}".format(**said)
                expected -= found
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            yield count, "this is no line of evidence as it was written"
    for fault in chains[-1].end(trusted) if chains else ["there is no evidence in it"]:
        yield count, fault


def lines_of(name: str) -> Iterator[bytes]:
    """Yield the lines of an export, or of its evidence.jsonl alone."""
    with open(name, "rb") as file:
        if file.read(2) != b"PK":
            file.seek(0)
            yield from iter(lambda: file.readline(LONGEST_LINE + 1), b"")
            return
        with zipfile.ZipFile(file) as export:
            # so that whatever else unpacks it, gets what is checked here
            alike = [each for each in export.infolist() if each.filename.lower().endswith(LINES)]
            is_first = min((each.header_offset for each in export.infolist()), default=0) == 0
            if [each.filename for each in alike] != [LINES] or not is_first:
                raise zipfile.BadZipFile(f"it is no export, or something was added to it: {LINES}")
            if alike[0].compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise zipfile.BadZipFile("it is compressed in a way that exports are not")
            with export.open(LINES) as member:
                lines = io.BufferedReader(member, 1 << 20)  # type: ignore[type-var]
                yield from iter(lambda: lines.readline(LONGEST_LINE + 1), b"")


def key(text: str) -> str:
    """Return a fingerprint: whole, since a key whose first digits are alike can be made."""
    if not re.fullmatch("[0-9a-f]{64}", text.lower()):
        raise argparse.ArgumentTypeError(
            "all 64 digits of the fingerprint are needed: they stand at the end of the practice's "
            'page, and in its mails "please keep this e-mail"'
        )
    return text.lower()


def head(text: str) -> str:
    """Return a head, or its beginning."""
    if not re.fullmatch("[0-9a-f]{12,64}", text.lower()):
        raise argparse.ArgumentTypeError("a head has 64 digits, of which the first 12 will do")
    return text.lower()


def unproven(chains: list[Chain], trusted: set[str]) -> Iterator[str]:
    """Yield what is not known of chains in which nothing is wrong."""
    if not trusted:
        yield "anybody could have made it. Say --key FINGERPRINT, with the fingerprint from the"
        yield "  practice's own page or mails, not from this file."
    for each in chains:
        name = f"chain {each.name[1]!a}"
        if trusted and not each.is_named:
            yield f"{name} is signed with a key that you did not name,"
            yield "  {}: do you know it? Then --key too.".format(", ".join(sorted(each.signed_by)))
        if not each.complete_to:
            yield f"{name}: WHETHER ITS END IS MISSING IS NOT KNOWN. Say --expect HEAD,"
            yield "  with a head of this chain from the practice's own page or mails."


def main() -> int:
    """Check a file, and say what came of it."""
    parser = argparse.ArgumentParser(description="Checks an export of evidence.")
    is_inside = zipfile.is_zipfile(sys.argv[0])
    parser.add_argument("file", nargs="?" if is_inside else None, default=sys.argv[0])
    parser.add_argument("--key", action="append", default=[], type=key)
    parser.add_argument("--expect", action="append", default=[], type=head)
    asked = parser.parse_args()
    trusted, missing, faults = set(asked.key), set(asked.expect), 0
    chains: list[Chain] = []
    try:
        for line, fault in check(lines_of(asked.file), trusted, missing, chains):
            if fault == UNNAMED:
                continue
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
    for each in sorted(missing):
        print(f"MISSING: no line has the hash {each}: the end was removed, or it is another chain")
    if faults or missing:
        print("NOT SOUND: this is not what was written.")
        return ALTERED
    doubts = list(unproven(chains, trusted))
    for doubt in doubts:
        print(doubt if doubt.startswith(" ") else f"NOT PROVEN: {doubt}")
    if doubts:
        print("NOT PROVEN, and as far as it goes nothing was altered, removed, put in or moved.")
        return NOT_PROVEN
    for each in chains:
        print(f"SOUND: nothing was altered, put in or moved, and up to {each.complete_to} of chain")
        print(f"  {each.name[1]} nothing is missing; there may have been more after line")
        print(f"  {each.number}, of {each.last_at}: a newer head would tell.")
    return SOUND


if __name__ == "__main__":
    sys.exit(main())
