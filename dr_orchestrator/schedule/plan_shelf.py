"""The plans that run: the newest valid version of each, until its file is taken away.

A file that was edited into something that is not valid changes nothing but what is told: the
version before goes on, also after a restart, since it is kept in the state folder. What runs
an operation reads it there, and never a file that somebody is just writing.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from dr_orchestrator.clock import Clock
from dr_orchestrator.core.problem import Problem, site_problem
from dr_orchestrator.core.wording import printable
from dr_orchestrator.errors import DroError, PlanInvalid, UsageMistake
from dr_orchestrator.plan.document import read_file
from dr_orchestrator.plan.load import LoadedPlan, find_plans, load_plan
from dr_orchestrator.whole_file import write_whole

KEPT = "plans"
"""Where in the state folder the versions of the plans lie that run."""
_SETTLED = timedelta(minutes=1)
"""A checkout takes files away and puts them back: one is gone once its folder was left alone."""


@dataclass(frozen=True)
class _Look:
    """What a file was when it was last looked at."""

    stamp: tuple[int, ...]
    loaded: LoadedPlan | None
    """`None`: what it says cannot be used, and never could."""
    trouble: str
    """Why what it says now cannot be used; empty where it can."""

    @property
    def has_other_templates(self) -> bool:
        """Whether a template of it says something else by now."""
        templates = self.loaded.sources[1:] if self.loaded else ()
        return any(read_file(each.path)[0] != each.content for each in templates)


class PlanShelf:
    """The plans of a folder as they run. `refresh` makes it so."""

    def __init__(self, folder: Path, kept: Path, clock: Clock) -> None:
        self._folder = folder
        self._kept = kept
        self._clock = clock
        self._looks: dict[Path, _Look] = {}
        self._taken: frozenset[Path] = frozenset()
        """Files whose practice another file has."""
        self._folder_trouble = ""
        self._ran: Mapping[str, str] | None = None
        """Practice -> sha256 of the version that ran at the last look; `None` before the first."""
        self.plans: Mapping[str, LoadedPlan] = {}
        """Practice -> the version that runs."""

    def refresh(self) -> tuple[str, ...]:
        """Look at the files again; return what changed, for the log, also since an earlier run."""
        before, trouble = self._ran if self._ran is not None else self._kept_hashes(), ""
        try:
            found = find_plans(self._folder)
        except UsageMistake as error:
            found, trouble = (), error.message
        if not found and not self._looks:
            self._begin_with_what_ran()
        self._folder_trouble = trouble or self._let_go(found)
        for path in found:
            self._look_at(path)
        self._put_in_order(found)
        self._ran = {practice: loaded.sha256 for practice, loaded in self.plans.items()}
        return (
            *(f"{each}: runs now" for each in self.plans if each not in before),
            *(f"{each}: runs no more" for each in before if each not in self.plans),
            *(
                f"{each}: a new version runs"
                for each, loaded in self.plans.items()
                if each in before and before[each] != loaded.sha256
            ),
        )

    def problems(self) -> tuple[Problem, ...]:
        """Return what is wrong with the files now."""
        problems = []
        if self._folder_trouble:
            problems.append(
                site_problem("plan/plans", self._folder_trouble, advice="mend the plans folder")
            )
        for path, look in self._looks.items():
            name = printable(path.name)
            about = f"plan/{name}"
            practice = look.loaded.plan.practice.id if look.loaded else ""
            if path in self._taken:
                what = f"{name} is not used: another plan has the practice id {practice}"
                advice = "give it an id of its own, or remove it"
                problems.append(site_problem(about, what, advice=advice))
            elif look.trouble:
                what = f"{look.trouble}: {_what_runs(look.loaded)}"
                advice = f"dro plan validate {path}"
                problems.append(site_problem(about, what, advice=advice, practice=practice))
        return tuple(problems)

    def _begin_with_what_ran(self) -> None:
        """Go on with what ran before we were started: a folder without a plan is not mounted."""
        for kept in sorted(self._kept.glob("*/[!.]*")):
            path = self._folder / kept.name
            with contextlib.suppress(DroError):
                self._looks[path] = _Look((), replace(load_plan(kept), path=path), "")

    def _let_go(self, found: tuple[Path, ...]) -> str:
        """Forget files that are gone for good; return what speaks against it."""
        gone = [path for path in self._looks if path not in found]
        if gone and not found:
            return f"all plans are gone from {self._folder}: they go on as they were"
        if not found:
            return f"there is no plan in {self._folder}: nothing is backed up"
        changed_at = self._folder.stat().st_mtime
        if self._clock.now().timestamp() - changed_at >= _SETTLED.total_seconds():
            for path in gone:
                del self._looks[path]
        return ""

    def _look_at(self, path: Path) -> None:
        known = self._looks.get(path)
        stamp = _stamp(path)
        if known and known.stamp == stamp and not known.trouble and not known.has_other_templates:
            return
        before = known.loaded if known else None
        try:
            self._looks[path] = _Look(stamp, load_plan(path), "")
        except PlanInvalid as error:
            trouble = printable(error.message.splitlines()[0])
            self._looks[path] = _Look(stamp, before or kept_version(self._kept, path), trouble)

    def _kept_hashes(self) -> Mapping[str, str]:
        return {
            kept.parent.name: hashlib.sha256(kept.read_bytes()).hexdigest()
            for kept in self._kept.glob("*/[!.]*")
        }

    def _put_in_order(self, found: tuple[Path, ...]) -> None:
        """Say which plans run, and keep them; of two files for one practice the first goes on."""
        plans: dict[str, LoadedPlan] = {}
        taken = set()
        usable = {path: look.loaded for path, look in self._looks.items() if look.loaded}
        for path in sorted(usable, key=lambda each: (each not in found, not self._runs(each))):
            practice = usable[path].plan.practice.id
            if practice not in plans:
                plans[practice] = usable[path]
            elif path in found:
                taken.add(path)
        for practice, loaded in plans.items():
            if self.plans.get(practice) is not loaded:
                self._keep(loaded)
        self._keep_no_others(plans)
        self.plans, self._taken = plans, frozenset(taken)

    def _runs(self, path: Path) -> bool:
        """Whether a file is the one of its practice that ran before."""
        loaded = self._looks[path].loaded
        return loaded is not None and (self._kept / loaded.plan.practice.id / path.name).exists()

    def _keep(self, loaded: LoadedPlan) -> None:
        folder = self._kept / loaded.plan.practice.id
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file, content = folder / loaded.path.name, loaded.text.encode()
        if not file.exists() or file.read_bytes() != content:
            write_whole(file, content, mode=0o600)
        for other in folder.iterdir():
            if other != file and not other.name.startswith("."):
                other.unlink(missing_ok=True)

    def _keep_no_others(self, plans: Mapping[str, LoadedPlan]) -> None:
        for folder in self._kept.glob("*"):
            if folder.name not in plans and not self._folder_trouble:
                shutil.rmtree(folder, ignore_errors=True)


def kept_version(kept: Path, path: Path) -> LoadedPlan | None:
    """Return the version of a plan file that a scheduler keeps in `kept`; `None`: there is none.

    A kept version that this version of the program takes for invalid counts as none.
    """
    for file in kept.glob(f"*/{glob.escape(path.name)}"):
        with contextlib.suppress(DroError):
            return replace(load_plan(file), path=path)
    return None


@dataclass(frozen=True, kw_only=True)
class PlansRead:
    """What plan files come to, with mistakes in some of them."""

    plans: tuple[LoadedPlan, ...]
    mistakes: tuple[PlanInvalid, ...]
    """One for each file that cannot be used; the first line says what runs in its place."""


def read_plans(paths: Iterable[Path], kept: Path) -> PlansRead:
    """Return the plan in each file: where that is invalid, the version that goes on in `kept`."""
    plans, mistakes = [], []
    for path in paths:
        try:
            plans.append(load_plan(path))
        except PlanInvalid as error:
            before = kept_version(kept, path)
            plans += [before] if before else []
            first, *rest = error.message.splitlines()
            message = "\n".join((f"{first}: {_what_runs(before)}", *rest))
            mistakes.append(PlanInvalid(message, hint=error.hint, problems=error.problems))
    return PlansRead(plans=tuple(plans), mistakes=tuple(mistakes))


def _what_runs(before: LoadedPlan | None) -> str:
    return "the version before goes on" if before else "nothing of it runs"


def kept_plan(kept: Path, practice: str, folder: Path) -> LoadedPlan | None:
    """Return the version of a practice's plan that runs; `None` where none does.

    `kept` is where a `PlanShelf` keeps them, `folder` where their files are.

    Raises:
        PlanInvalid: this version of the program takes it for invalid.
    """
    for file in sorted((kept / practice).glob("[!.]*")):
        return replace(load_plan(file), path=folder / file.name)
    return None


def _stamp(path: Path) -> tuple[int, ...]:
    try:
        stat = path.stat()
    except OSError:
        return ()
    return (stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
