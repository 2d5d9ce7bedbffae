"""A restic repository whose key opens at once.

restic spends 0.2 s of processor time a call on making its password slow to guess (scrypt), which
is a quarter of what the tests of the whole program take. The key file says itself how slow: here it
is written anew with the least, as restic's doc/design.rst describes the format ("Keys, Encryption
and MAC"). All else is what `restic init` made.
"""

from __future__ import annotations

import atexit
import base64
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.poly1305 import Poly1305

from tests.support.tools import require_tool

_NONCE = _TAG = 16
_QUICK = {"N": 2, "r": 8, "p": 1}


@dataclass(frozen=True)
class _Keys:
    """What restic derives from a password: AES-256-CTR to encrypt, Poly1305-AES to sign."""

    encrypt: bytes
    mac_k: bytes
    mac_r: bytes

    @classmethod
    def of(cls, password: str, salt: bytes, cost: dict[str, int]) -> _Keys:
        derived = hashlib.scrypt(
            password.encode(),
            salt=salt,
            n=cost["N"],
            r=cost["r"],
            p=cost["p"],
            dklen=64,
            maxmem=2**30,
        )
        return cls(derived[:32], derived[32:48], derived[48:])

    def open(self, sealed: bytes) -> bytes:
        nonce, text, tag = sealed[:_NONCE], sealed[_NONCE:-_TAG], sealed[-_TAG:]
        assert self._tag(nonce, text) == tag
        return self._crypt(nonce, text)

    def seal(self, text: bytes) -> bytes:
        nonce = os.urandom(_NONCE)
        sealed = self._crypt(nonce, text)
        return nonce + sealed + self._tag(nonce, sealed)

    def _crypt(self, nonce: bytes, text: bytes) -> bytes:
        return Cipher(algorithms.AES(self.encrypt), modes.CTR(nonce)).encryptor().update(text)

    def _tag(self, nonce: bytes, text: bytes) -> bytes:
        block = Cipher(algorithms.AES(self.mac_k), modes.ECB()).encryptor()  # noqa: S305
        return Poly1305.generate_tag(self.mac_r + block.update(nonce), text)


def make_quick(repository: Path, password: str) -> None:
    """Write the one key of a repository on this disk anew, so that it opens at once."""
    (file,) = (repository / "keys").iterdir()
    key = json.loads(file.read_bytes())
    salt = base64.b64decode(key["salt"])
    master = _Keys.of(password, salt, key).open(base64.b64decode(key["data"]))
    key |= _QUICK
    key["data"] = base64.b64encode(_Keys.of(password, salt, key).seal(master)).decode()
    content = json.dumps(key).encode()
    file.with_name(hashlib.sha256(content).hexdigest()).write_bytes(content)
    file.unlink()


@cache
def _template(password: str) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="dro-quick-"))
    atexit.register(shutil.rmtree, folder)
    # by a file: tests beside this one look for it in what every process was given
    key = folder / "key"
    key.touch(mode=0o600)
    key.write_text(password)
    restic = (require_tool("restic"), "--no-cache", "--quiet", "--password-file", key)
    subprocess.run(
        (*restic, "init", "--repo", folder / "repository"),
        env={"PATH": os.environ["PATH"]},
        check=True,
        timeout=120,
    )
    make_quick(folder / "repository", password)
    return folder / "repository"


def put_quick_repository(place: Path, password: str) -> None:
    """Put a new, empty repository at `place`. All that are put there have the same restic id."""
    shutil.copytree(_template(password), place)
