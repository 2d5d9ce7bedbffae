"""The runbooks of a practice: whether a responder could follow each, and what he would miss."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from dr_orchestrator.core.wording import count_words, some_names
from dr_orchestrator.doctor.complaint import Complaint, Kind
from dr_orchestrator.doctor.instruments import Patient
from dr_orchestrator.plan.problem import Problem


@dataclass(frozen=True, kw_only=True)
class RunbooksSeen:
    """What can be seen of a practice's runbooks; `runbook` says it, which is not ours to ask."""

    problems: tuple[Problem, ...]
    """Of runbooks, and where they do not fit the plan."""
    misled: tuple[Problem, ...]
    """Where the plan names a runbook that nobody can follow."""
    not_trusted: Mapping[str, str]
    """File -> why its commands do not run unasked, of those that have commands."""
    blanks: tuple[str, ...]
    """What they leave to be filled in by hand."""


def look_at_runbooks(patient: Patient) -> Iterator[Complaint]:
    """Complain of runbooks that nobody can follow, or not without being asked."""
    seen, practice = patient.tools.runbooks(patient.loaded), patient.plan.practice.id
    everything = f"`dro plan validate {practice}` shows every mistake"
    for file in dict.fromkeys(each.file for each in seen.problems):
        first, *others = (each for each in seen.problems if each.file == file)
        more = f", and {count_words(len(others), 'more mistake')}" if others else ""
        yield Complaint(
            kind=Kind.RUNBOOK_INVALID,
            what=f"the runbook {file}:{first.line}: {_words(first)}{more}",
            do="; ".join(each for each in (first.hint, everything) if each),
            practice=practice,
        )
    for problem in seen.misled:
        yield Complaint(
            kind=Kind.RUNBOOK_MISSING,
            what=_words(problem),
            do=problem.hint,
            practice=practice,
            line=f"{patient.loaded.path.name}:{problem.line}",
        )
    for file, why in seen.not_trusted.items():
        yield Complaint(
            kind=Kind.RUNBOOK_NOT_TRUSTED,
            what=f"the runbook {file} is not safe: {why}",
            do=f"let it belong to root or you; chmod go-w {file} and its folder",
            practice=practice,
        )
    if seen.blanks:
        yield Complaint(
            kind=Kind.RUNBOOK_BLANKS,
            what=f"the plan does not say what its runbooks ask for: {some_names(seen.blanks)}",
            do="add it to the plan, or print the runbooks and write it in",
            practice=practice,
        )


def _words(problem: Problem) -> str:
    return f"{problem.path}: {problem.message}" if problem.path else problem.message
