"""The kit as files: a pure function of what it is made of. Same input, same bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from dr_orchestrator.runbook.kit.commands import restore_ps1, restore_sh
from dr_orchestrator.runbook.kit.contents import MADE_BY, kit_json
from dr_orchestrator.runbook.kit.given import KitInput, inputs_of
from dr_orchestrator.runbook.kit.page import KitPage, kit_page
from dr_orchestrator.runbook.kit.paper import paper_pdf
from dr_orchestrator.runbook.kit.steps import Sheet
from dr_orchestrator.sheet.html import render

FIRST, PAPER, CONTENTS, SUMS = "START-HERE.html", "kit.pdf", "kit.json", "SHA256SUMS"
SCRIPT = "dro-kit.py"
ALWAYS = frozenset({FIRST, CONTENTS, SCRIPT, "restore.sh", "VERSIONS.txt"})
"""Files that every kit has, beside its hashes; also one that was mailed."""
_PACKAGE = "dr_orchestrator.runbook.kit"


@dataclass(frozen=True)
class Kit:
    """The files of a kit, by relative name."""

    files: Mapping[str, bytes]
    inputs: str
    """SHA-256 over plan and runbooks: another one means that the kit is stale."""


@dataclass(frozen=True)
class _RunbookPage:
    kit: KitPage
    sheet: Sheet


MakePaper = Callable[[KitPage, datetime], bytes | None]
"""Makes the PDF; `None` where this machine cannot."""


def build_kit(given: KitInput, make_paper: MakePaper = paper_pdf) -> Kit:
    """Return the files of a kit. Without WeasyPrint there is no PDF, and the first page says so."""
    page = kit_page(given, has_pdf=False)
    pdf = make_paper(page, given.made)
    page = replace(page, has_pdf=pdf is not None)
    files = {
        FIRST: render(_PACKAGE, "start.html", page),
        CONTENTS: kit_json(given),
        SCRIPT: given.script,
        "restore.sh": restore_sh(given),
        "restore.ps1": restore_ps1(given),
        "VERSIONS.txt": _versions(given, page),
        **{
            each.file: render(_PACKAGE, "runbook.html", _RunbookPage(page, each))
            for each in page.sheets
        },
        **{f"restic/{name}": program for name, program in given.restic.items()},
    }
    if pdf is not None:
        files[PAPER] = pdf
    files[SUMS] = sums_of(files)
    return Kit(files=files, inputs=inputs_of(given.loaded, given.runbooks))


def sums_of(files: Mapping[str, bytes]) -> bytes:
    """Return hashes of files as `sha256sum -c` reads them."""
    return "".join(
        f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files)
    ).encode()


def _versions(given: KitInput, page: KitPage) -> bytes:
    lines = [
        f"practice: {page.practice} ({page.name})",
        f"made: {page.made_at} ({given.plan.practice.timezone.key})",
        f"current until: {page.expires}",
        f"made by: {MADE_BY}",
        f"plan: {given.loaded.sha256}",
        *(f"runbook {name}: {each.sha256}" for name, each in sorted(given.runbooks.items())),
        *(
            f"restic/{name}: {hashlib.sha256(program).hexdigest()}"
            for name, program in sorted(given.restic.items())
        ),
    ]
    return ("\n".join(lines) + "\n").encode()
