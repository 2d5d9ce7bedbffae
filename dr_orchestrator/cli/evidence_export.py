"""`dro evidence export`: one file that an auditor checks without us."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dr_orchestrator.cli.each_repository import repositories_of
from dr_orchestrator.cli.evidence_verify import key_option, unseen
from dr_orchestrator.core.wording import count_words, printable
from dr_orchestrator.errors import ExitCode

if TYPE_CHECKING:
    from dr_orchestrator.cli.main import Context


@click.command(
    short_help="write it to one file that is checked without us",
    epilog="""\b
Examples:
  dro evidence export riverside --out riverside.zip
  dro evidence export riverside --out riverside.zip --from-repository offsite --key FINGERPRINT
  python3 riverside.zip --key FINGERPRINT --expect HEAD
""",
)
@click.argument("practice", required=False)
@click.option(
    "--out",
    required=True,
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="the file that is written",
)
@click.option(
    "--with",
    "files",
    metavar="FILE",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="an export of another machine, to be taken in; may be given again",
)
@click.option(
    "--from-repository",
    "repositories",
    metavar="ID",
    multiple=True,
    help="take in what other machines saved to this repository; may be given again",
)
@key_option
@click.option(
    "--although-altered",
    is_flag=True,
    help="write it even where it is not as it was written; the file says so",
)
@click.option("--json", "_json", is_flag=True, help="print one JSON object")
@click.pass_obj
def export(
    context: Context,
    practice: str | None,
    *,
    out: Path,
    files: tuple[Path, ...],
    repositories: tuple[str, ...],
    keys: tuple[str, ...],
    although_altered: bool,
    _json: bool,
) -> ExitCode:
    """Verify the evidence of PRACTICE, sign it to its end, and write all of it to one file, with a
    verifier in it that needs nothing but Python.

    What other machines wrote (a responder's laptop) is taken in first, and stays: it is verified,
    and of a chain that is not known here yet you say the key. Whoever checks the file has to know
    the fingerprints from somebody else than from the file.

    Exit codes: 0 written; 1 the evidence is not as it was written, or what is to be taken in is
    not, or contradicts ours: nothing is written, unless ours is and with --although-altered.
    """
    from dr_orchestrator.evidence.signing import fingerprint
    from dr_orchestrator.maintenance.export_evidence import ExportRequest

    loaded = context.one_plan(practice)
    for name in repositories:
        repositories_of(loaded.plan, name)
    exported = context.app.export_evidence(
        ExportRequest(
            plan=loaded.plan,
            out=out,
            files=files,
            repositories=repositories,
            keys=keys,
            although_altered=although_altered,
        )
    )
    verified = exported.verified
    context.say(f"written: {printable(str(out))}")
    for fault in verified.faults:
        context.say(f"ALTERED: {printable(fault)}")
    if files or repositories:
        context.say(f"taken in: {count_words(exported.taken_in, 'new entry', 'new entries')}")
    if exported.left_out:
        entries = count_words(exported.left_out, "entry", "entries")
        context.say(f"left out: {entries} at the end of other chains, which nobody signed")
    for each in exported.chains:
        context.say(f"chain {each.chain}: entry {each.number - each.unsigned:,}")
        context.say(f"  key  {fingerprint(each.key)}")
        context.say(f"  head {exported.heads[each.chain]}")
    notes = (*verified.notes, *unseen(loaded.plan, verified, repositories=repositories))
    for note in notes:
        context.say(f"note: {printable(note)}")
    context.say(
        "whoever checks it: python3 FILE --key FINGERPRINT --expect HEAD, of each chain, by what "
        "stands on a page or in a mail that the practice was sent before, not by this"
    )
    context.print_json_if_asked(
        {
            "practice": loaded.plan.practice.id,
            "file": str(out),
            "taken_in": exported.taken_in,
            "left_out": exported.left_out,
            "chains": [
                {
                    "chain": each.chain,
                    "ours": each.ours,
                    "number": each.number - each.unsigned,
                    "key": fingerprint(each.key),
                    "head": exported.heads[each.chain],
                }
                for each in exported.chains
            ],
            "faults": list(verified.faults),
            "notes": list(notes),
        }
    )
    return ExitCode.OK if verified.is_sound else ExitCode.FAILED
