"""What is noted while a plan is looked at as a whole: mistakes, warnings, and known names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path, PurePosixPath

from dr_orchestrator.plan.document import (
    Document,
    Node,
    child,
    children,
    text_of,
    writable_by_others,
)
from dr_orchestrator.plan.problem import Problem, did_you_mean
from dr_orchestrator.plan.secret_reference import NOT_WRITTEN_DOWN

_OBTAIN_HINT = (
    "say where a person finds it when this machine is gone, such as: sealed envelope in the safe"
)


class Notes:
    """The plan that is looked at, and what was found."""

    def __init__(self, document: Document, files: tuple[Path, ...]) -> None:
        self._document = document
        self.root = document.root
        self.place = files[0] if files else None
        """The plan's own file where it is one of this machine."""
        self._files = files
        self.repositories = [name for name, _ in children(child(self.root, "repositories"))]
        self.contacts = [name for name, _ in children(child(self.root, "contacts"))]
        self.mistakes: list[Problem] = []
        self.warnings: list[Problem] = []

    def systems(self) -> Iterator[tuple[str, Node]]:
        """Yield each system with its id."""
        for name, entry in children(child(self.root, "systems")):
            yield name, entry.node

    @cached_property
    def writable_by_others(self) -> str:
        """Who else can change the plan's file or a template of it; empty where nobody can, or it is
        elsewhere.
        """
        found = ((each, writable_by_others(each)) for each in self._files)
        file, why = next((each for each in found if each[1]), (self.place, ""))
        return why if file == self.place else f"of {file}, {why}"

    def mistake(self, node: Node, message: str, hint: str = "") -> None:
        """Note what makes the plan invalid."""
        self.mistakes.append(self._document.problem(node.position, node.path, message, hint))

    def warn(self, node: Node, message: str, hint: str = "") -> None:
        """Note what is allowed and likely not meant."""
        self.warnings.append(self._document.problem(node.position, node.path, message, hint))

    def reference(self, node: Node | None, known: Sequence[str], what: str) -> str | None:
        """Return the name a node holds if it is known, else note it and return `None`."""
        name = text_of(node)
        if node is None or not name:
            return None
        if name in known:
            return name
        hint = did_you_mean(name, known) or (
            f"there are {', '.join(known)}" if known else f"this plan has no {what}"
        )
        self.mistake(node, f"there is no such {what}", hint)
        return None

    def contact_by_mail(self, node: Node | None) -> None:
        """Note a name that is no contact, or one of a contact without an e-mail address."""
        name = self.reference(node, self.contacts, "contact")
        if node is None or name is None:
            return
        if not text_of(child(self.root, "contacts", name, "email")):
            self.mistake(node, "has no e-mail address", f"write one in `contacts.{name}.email`")

    def secret(self, reference: Node) -> None:
        """Note a key in a work tree, since it gets committed, and a command others can write; warn
        of one of which nobody says where else it is.

        The first two depend on the machine: of a file that is elsewhere nothing is noted.
        """
        obtain = child(reference, "obtain")
        if obtain is not None and text_of(obtain) == NOT_WRITTEN_DOWN:
            self.warn(obtain, "nobody has written down where a copy of it is", _OBTAIN_HINT)
        if self.place is None:
            return
        file = child(reference, "file")
        path = text_of(file)
        if file is not None and path and PurePosixPath(path).is_absolute():
            tree = _work_tree(Path(path))
            if tree is not None:
                self.mistake(
                    file, f"lies in the git work tree {tree}", "keep keys where git cannot go"
                )
        command = child(reference, "command")
        if command is not None and (why := self.writable_by_others):
            self.mistake(
                command,
                f"commands run only from a file that others cannot write: {why}",
                f"chmod go-w {self.place} and its folder",
            )

    def nearly_a_contact(self, node: Node | None) -> None:
        """Warn of a word that is one letter off a contact: any word is allowed, a slip likelier."""
        name = text_of(node)
        if node is None or not name or name in self.contacts:
            return
        if hint := did_you_mean(name, self.contacts):
            self.warn(node, "is no contact of this plan", hint)


def _work_tree(path: Path) -> Path | None:
    for folder in path.parents:
        with suppress(OSError):
            if (folder / ".git").exists():
                return folder
    return None
