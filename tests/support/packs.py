"""A small pack of an MSP's own, with every kind of fact."""

from __future__ import annotations

from pathlib import Path

PACK = """\
version: 1
name: clinic
title: Clinic
tried_on: nothing
roles:
  database: {kinds: [mariadb, sqlite], about: its database}
  documents: {kinds: [files, smb], about: its documents}
seal:
  keys: {asset: database, sql: "select name, value from k"}
  by: {"006": sixb}
  hash: sha384
checks:
  - {title: patients, asset: database, sql: select 1, expect: baseline, otherwise: fewer}
  - title: scans
    files:
      asset: documents
      listed_by: {asset: database, sql: select path from document}
      are: scans
  - {title: rows, hashed: {asset: database, sql: select 1, hashes: [sha1]}, otherwise: changed}
  - title: keys
    sealed: {asset: documents, folder: k, needed_by: {asset: database, sql: select name from k}}
coverage:
  - {asset: database, answers: count, sql: select 0, what: others, look: there}
"""


def write(folder: Path, text: str = PACK, name: str = "clinic") -> Path:
    """Write a pack beside the plans of `folder`."""
    (folder / "packs").mkdir(exist_ok=True)
    file = folder / "packs" / f"{name}.yaml"
    file.write_text(text)
    return file
