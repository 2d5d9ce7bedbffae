"""The plan files: whether each can be used, and what it says that is likely not meant."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from dr_orchestrator.core.wording import count_words
from dr_orchestrator.doctor.complaint import Complaint, Kind, of_plan
from dr_orchestrator.errors import PlanInvalid
from dr_orchestrator.plan.document import writable_by_others
from dr_orchestrator.plan.load import LoadedPlan, find_plan, find_plans, load_plan, practice_id
from dr_orchestrator.plan.problem import Problem

_GOES_ON = "the version before goes on, and nothing of what was changed holds"


def read_plans(
    practices: tuple[str, ...], folder: Path, goes_on: Callable[[Path], bool]
) -> tuple[tuple[LoadedPlan, ...], tuple[Complaint, ...]]:
    """Return the plans of these practices (all of the folder where none is named) that can be
    used, and a complaint of each that cannot. `goes_on` says whether a scheduler goes on with an
    earlier version of a file.

    Raises:
        UsageMistake: there is no such plan, or no such folder.
        PlanInvalid: there is no plan at all.
    """
    named = tuple(find_plan(practice, folder) for practice in practices)
    paths = named or find_plans(folder)
    if not paths:
        raise PlanInvalid(f"there is no plan in {folder}", hint="`dro init ID` writes a first one")
    loaded, complaints = [], []
    for path in paths:
        try:
            loaded.append(load_plan(path))
        except PlanInvalid as error:
            complaints.append(_invalid(path, error, goes_on=goes_on(path)))
    return tuple(loaded), tuple(complaints)


def _invalid(path: Path, error: PlanInvalid, *, goes_on: bool) -> Complaint:
    problems = [each for each in error.problems if isinstance(each, Problem)]
    first = problems[0] if problems else Problem(str(path), 1, 1, "", error.message)
    more = len(problems) - 1
    everything = f"`dro plan validate {path}` shows every mistake"
    return Complaint(
        kind=Kind.PLAN_INVALID,
        what=_words(first) + (f", and {count_words(more, 'more mistake')}" if more > 0 else ""),
        do="; ".join(each for each in (first.hint, everything) if each),
        instead=_GOES_ON if goes_on else "",
        practice=practice_id(path) or path.stem,
        line=f"{path.name}:{first.line}",
    )


def look_at_plan(loaded: LoadedPlan) -> Iterator[Complaint]:
    """Complain of what can be seen in the file itself."""
    for problem in loaded.warnings:
        yield Complaint(
            kind=Kind.PLAN_WARNING,
            what=_words(problem),
            do=problem.hint or "change the plan, or leave it where it is meant",
            practice=loaded.plan.practice.id,
            line=f"{loaded.path.name}:{problem.line}",
        )
    if why := writable_by_others(loaded.path):
        what = f"the plan {loaded.path} is not safe: {why}"
        do = f"let it belong to root or you; chmod go-w {loaded.path} and its folder"
        yield of_plan(loaded, "", Kind.PLAN_WRITABLE, what, do)


def _words(problem: Problem) -> str:
    return f"{problem.path}: {problem.message}" if problem.path else problem.message
