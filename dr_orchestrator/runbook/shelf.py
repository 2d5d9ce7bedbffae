"""Which runbooks a practice has: its own, those beside its plan, and those we ship."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dr_orchestrator.errors import RunbookInvalid, UsageMistake
from dr_orchestrator.plan.document import child, read_file
from dr_orchestrator.plan.problem import Problem, did_you_mean
from dr_orchestrator.runbook.fit import blanks_of, problems_with
from dr_orchestrator.runbook.load import SUFFIXES, LoadedRunbook, load_runbook, read_runbook, refuse

if TYPE_CHECKING:
    from dr_orchestrator.plan.load import LoadedPlan
    from dr_orchestrator.plan.model import Plan

TRIAGE = "triage"
_TEXT = ".md"
_TOLD = 3
"""Mistakes that are told to somebody who has other things to do."""


@dataclass(frozen=True, kw_only=True)
class Shelf:
    """The runbooks of a practice."""

    runbooks: Mapping[str, LoadedRunbook]
    """By name; those that are valid, also where they do not fit the plan."""
    problems: tuple[Problem, ...]
    """What is wrong with others, or with these where they do not fit the plan."""
    files: Mapping[str, Path]
    """Name -> file, of those that are not valid too."""

    def named(self, name: str) -> LoadedRunbook:
        """Return the runbook of this name.

        Raises:
            UsageMistake: there is none, with what was probably meant.
            RunbookInvalid: there is one, and it is not valid or does not fit the plan.
        """
        if problems := self._problems_of(name):
            ours = (shipped_folder() / f"{name}.yaml").is_file()
            away = "; or move the file away, to follow the one we ship" if ours else ""
            refuse(problems, hint=f"mend it{away}")
        return self.runbooks[name]

    def for_incident(self, name: str) -> tuple[LoadedRunbook, tuple[str, ...]]:
        """Return the runbook of this name as far as it can be followed, and what is wrong with it,
        in sentences: nobody is kept from going on at night by what can wait until the morning.

        One that does not fit the plan is followed all the same; in place of one that is not valid
        it is the one that we ship.

        Raises:
            UsageMistake: there is none, with what was probably meant.
            RunbookInvalid: it is not valid, and we ship none of its name.
        """
        problems = self._problems_of(name)
        if (loaded := self.runbooks.get(name)) is not None:
            return loaded, _misfit_words(name, problems)
        ours = shipped_folder() / f"{name}.yaml"
        if not ours.is_file():
            refuse(problems)
        first = problems[0]
        mistake = f"{first.path}: {first.message}" if first.path else first.message
        said = f"{first.file} has a mistake in line {first.line} ({mistake})"
        return load_runbook(ours), (f"{said}: the runbook {name} that we ship is followed instead",)

    def _problems_of(self, name: str) -> list[Problem]:
        """Return what is wrong with one.

        Raises:
            UsageMistake: there is none of this name.
        """
        if name not in self.files:
            raise UsageMistake(f"there is no runbook {name}", hint=self.probably(name))
        return [each for each in self.problems if each.file == str(self.files[name])]

    def probably(self, name: str) -> str:
        """Return which runbook was probably meant, or which there are."""
        known = sorted(self.files)
        return did_you_mean(name, known) or f"there are {', '.join(known) or 'none'}"


def _misfit_words(name: str, problems: Sequence[Problem]) -> tuple[str, ...]:
    if not problems:
        return ()
    told = (f"line {each.line}: {each.message}" for each in problems[:_TOLD])
    more = len(problems) - _TOLD
    first = f"the runbook {name} does not fit the plan; it is followed, with blanks:"
    return (
        first,
        *told,
        *((f"and {more} more",) if more > 0 else ()),
    )


def shelf_of(loaded: LoadedPlan) -> Shelf:
    """Return the runbooks of a practice.

    A file of `runbooks/PRACTICE/` goes before one of `runbooks/` beside the plan or its folder,
    and that before the one of the same name that we ship. Never raises: what is wrong with one is
    in `problems`, and keeps nobody from following another.
    """
    files, problems = _files_of(loaded)
    return _shelf(files, load_runbook, loaded.plan, problems)


def saved_shelf(contents: Mapping[str, bytes], plan: Plan, place: Path) -> Shelf:
    """Return the runbooks that were saved with a recovery point, by the names they were saved
    under; `place` is for messages only. They are data: none is trusted. Never raises.
    """
    # earlier versions saved those of the practice's own folder below its id
    saved = sorted(contents, key=lambda name: name.count("/"))
    paths = {place / name: contents[name] for name in saved if name.endswith(SUFFIXES)}

    def read(path: Path) -> LoadedRunbook:
        return read_runbook(paths[path], path.stem, str(path))

    return _shelf({path.stem: path for path in paths}, read, plan, [])


def _shelf(
    files: Mapping[str, Path],
    read: Callable[[Path], LoadedRunbook],
    plan: Plan,
    problems: list[Problem],
) -> Shelf:
    runbooks: dict[str, LoadedRunbook] = {}
    for name, path in files.items():
        try:
            runbooks[name] = read(path)
        except RunbookInvalid as error:
            problems += [each for each in error.problems if isinstance(each, Problem)]
    for each in runbooks.values():
        problems += problems_with(each, plan, names=frozenset(files))
    return Shelf(runbooks=runbooks, problems=tuple(sorted(problems)), files=files)


def plan_problems(loaded: LoadedPlan, shelf: Shelf) -> tuple[Problem, ...]:
    """Return where a plan names a runbook that nobody can follow, at its place in the plan."""
    root = loaded.document.root
    problems = []
    for system, spec in loaded.plan.protected.items():
        if (name := spec.runbook) in shelf.runbooks:
            continue
        if name in shelf.files:
            message = f"the runbook {shelf.files[name]} is not valid"
            hint = "mend it; its own mistakes are shown too"
        else:
            message, hint = f"there is no runbook `{name}`", shelf.probably(name)
        node = child(root, "systems", system, "runbook") or child(root, "systems", system) or root
        path = f"systems.{system}.runbook"
        problems.append(loaded.document.problem(node.position, path, message, hint))
    return tuple(problems)


def blanks_on(shelf: Shelf, plan: Plan) -> tuple[str, ...]:
    """Return what the runbooks of a practice leave to be filled in by hand; see `blanks_of`."""
    blanks = {each for one in shelf.runbooks.values() for each in blanks_of(one, plan)}
    return tuple(sorted(blanks))


def files_to_keep(loaded: LoadedPlan) -> dict[str, bytes]:
    """Return what is saved with every point, by name: the runbooks that the practice has, also
    those that are not valid, and texts (`.md`) that lie beside them.

    What cannot be read is left out: it must not stop a backup, and is complained of elsewhere.
    """
    files, _ = _files_of(loaded)
    texts = {
        path.name: path
        for folder in _folders(loaded)
        for path in _listed(folder, (_TEXT,))[0]
        if (folder, path.stem) != (shipped_folder(), "README")
    }
    read = {path.name: read_file(path) for path in (*files.values(), *texts.values())}
    return {name: content for name, (content, trouble) in read.items() if not trouble}


def own_files(loaded: LoadedPlan) -> dict[str, bytes]:
    """Return what `files_to_keep` does, without what we ship: another machine has that."""
    shipped = shipped_folder()
    return {
        name: content
        for name, content in files_to_keep(loaded).items()
        if read_file(shipped / name)[0] != content
    }


def shipped_folder() -> Path:
    """Return where the runbooks lie that we ship: in the package, or in a checkout beside it."""
    inside = Path(__file__).resolve().parent / "shipped"
    return inside if inside.is_dir() else Path(__file__).resolve().parents[2] / "runbooks"


def _files_of(loaded: LoadedPlan) -> tuple[dict[str, Path], list[Problem]]:
    """Return the file of each runbook by name, and what keeps others from being one."""
    files: dict[str, Path] = {}
    problems = []
    for folder in _folders(loaded):
        listed, trouble = _listed(folder, SUFFIXES)
        if trouble:
            problems.append(Problem(str(folder), 1, 1, "", f"cannot be read: {trouble}"))
        for path in listed:
            before = files.get(path.stem)
            if before is not None and before.parent == folder:
                message = f"{before.name} has the same name"
                problems.append(Problem(str(path), 1, 1, "", message, "keep one of the two"))
            else:
                files[path.stem] = path
    return files, problems


def _listed(folder: Path, suffixes: tuple[str, ...]) -> tuple[list[Path], str]:
    """Return the files of a folder by name, or why it cannot be read; of none there are none."""
    try:
        paths = sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return [], ""
    except OSError as error:
        return [], (error.strerror or "unknown reason").lower()
    return [each for each in paths if each.suffix in suffixes and not each.name.startswith(".")], ""


def _folders(loaded: LoadedPlan) -> tuple[Path, ...]:
    """Return the folders of runbooks, those that go before others last."""
    # a plan out of a repository lies nowhere: what is beside the folder we work in is not its
    if not loaded.commands_allowed:
        return (shipped_folder(),)
    own = own_folder(loaded.path.resolve().parent, loaded.plan.practice.id)
    return tuple(dict.fromkeys((shipped_folder(), own.parent, own)))


def own_folder(plans: Path, practice: str) -> Path:
    """Return where a practice's own runbooks lie beside a folder of plans."""
    places = (plans / "runbooks", plans.parent / "runbooks")
    return next((each for each in places if each.is_dir()), places[0]) / practice
