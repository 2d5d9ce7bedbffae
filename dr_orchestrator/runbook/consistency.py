"""What a runbook says in one place and contradicts in another.

Works on the nodes, not on the validated runbook, so that these mistakes are reported together with
those of single values. What has a mistake of its own already is passed over in silence.
"""

from __future__ import annotations

from collections.abc import Iterator

from dr_orchestrator.plan.document import (
    Document,
    Mapping,
    Node,
    Scalar,
    Sequence,
    child,
    children,
    elements,
    text_of,
)
from dr_orchestrator.plan.problem import Problem, did_you_mean
from dr_orchestrator.runbook.model import ALL, THIS, Kind, Rehearsal
from dr_orchestrator.runbook.values import names_in

_PART_OF = {
    Kind.NOTIFY: "notify",
    Kind.TIMER: "timer",
    Kind.RESTORE: "restore",
    Kind.DECIDE: "decide",
}
"""The key that says what a step of such a kind does; `command` apart, which a check may have."""
_FEWEST_ANSWERS = 2
_KEYS_OF_TEXT = (
    *(("do",), ("expect",), ("undo",), ("cite",), ("if_not", "say")),
    *(("notify", "subject"), ("notify", "text"), ("timer", "of")),
)


def consistency_mistakes(document: Document) -> list[Problem]:
    """Return the mistakes of a runbook as a whole."""
    look = _Look(document)
    look.at_whole()
    for step in look.steps:
        look.at_kind(step)
        look.at_settings(step)
        look.at_destructive(step)
        look.at_ways(step)
        look.at_texts(step)
    look.for_steps_nobody_comes_to()
    return look.mistakes


def texts_of(step: Node) -> Iterator[Node]:
    """Yield the nodes of a step's texts, in which values are filled in."""
    for keys in _KEYS_OF_TEXT:
        if (node := child(step, *keys)) is not None:
            yield node
    yield from elements(child(step, "command"))
    for answer in elements(child(step, "decide")):
        if (node := child(answer, "answer")) is not None:
            yield node


class _Look:
    """A runbook that is looked at, and what was found."""

    def __init__(self, document: Document) -> None:
        self._document = document
        root = document.root
        self._lanes = [name for name, _ in children(child(root, "lanes"))]
        self._side_by_side = _is_true(child(root, "side_by_side"))
        self.steps = elements(child(root, "steps"))
        self._ids = [text_of(child(each, "id")) or "" for each in self.steps]
        self._ways_known = True
        self.mistakes: list[Problem] = []

    def at_whole(self) -> None:
        """Look at what is not of a single step."""
        root = self._document.root
        titles = [child(entry.node, "title") for _, entry in children(child(root, "lanes"))]
        for node in (child(root, "title"), child(root, "when"), child(root, "reviewed"), *titles):
            if "{{" in (text_of(node) or ""):
                self._note(node, "no value is filled in here", "say it in a step")
        used = {text_of(child(each, "lane")) for each in self.steps}
        for name, entry in children(child(root, "lanes")):
            if name not in used and used <= set(self._lanes):
                self._note(entry.node, "has no step", "take the lane out, or give it one")
        for index, name in enumerate(self._ids):
            if name and name in self._ids[:index]:
                self._note(child(self.steps[index], "id"), "is the id of a step before it too")

    def at_kind(self, step: Node) -> None:
        """Look whether a step has what its kind asks, and nothing that another kind does."""
        if (kind := self._kind(step)) is None:
            return
        for of, key in _PART_OF.items():
            self._belongs(step, key, needed=kind is of, allowed=kind is of)
        may_have = kind in {Kind.COMMAND, Kind.CHECK}
        self._belongs(step, "command", needed=kind is Kind.COMMAND, allowed=may_have)
        self._at_timer(child(step, "timer"))
        self._at_restore(child(step, "restore"))
        answers = child(step, "decide")
        if kind is Kind.DECIDE and len(elements(answers)) == 1:
            self._note(answers, f"has fewer than {_FEWEST_ANSWERS} answers", "one decides nothing")

    def _belongs(self, step: Node, key: str, *, needed: bool, allowed: bool) -> None:
        node, kind = child(step, key), text_of(child(step, "kind"))
        if not _says_nothing(node) and not allowed:
            self._note(node, "has no effect", f"it says nothing to a step of kind {kind}")
        elif needed and _says_nothing(node):
            self._note(step, "is missing", f"a step of kind {kind} needs it", below=key)

    def _at_timer(self, timer: Node | None) -> None:
        if not isinstance(timer, Mapping):
            return
        wait, limit, of = (child(timer, key) for key in ("wait", "limit", "of"))
        if (wait is None) == (limit is None):
            words = "says neither how long nor until when" if wait is None else "says both"
            self._note(timer, words, "write `wait` or `limit`: one of the two")
        elif limit is not None and _says_nothing(of):
            self._note(timer, "is missing", "what must be done by then", below="of")
        elif wait is not None and of is not None:
            self._note(of, "has no effect", "it belongs to `limit`")

    def _at_restore(self, restore: Node | None) -> None:
        named = elements(child(restore, "systems"))
        words = [text_of(each) for each in named]
        about = text_of(child(self._document.root, "about"))
        for node, word in zip(named, words, strict=True):
            if word == ALL and len(named) > 1:
                self._note(node, "makes the others needless", "write [all]")
            if word == THIS and about == "practice":
                self._note(node, "there is no such system", _ABOUT_PRACTICE)
        if isinstance(restore, Mapping) and about == "practice" and not named:
            self._note(restore, "is missing", _ABOUT_PRACTICE, below="systems")

    def at_settings(self, step: Node) -> None:
        """Look for settings without effect."""
        if (kind := self._kind(step)) is None:
            return
        if child(step, "command") is None:
            self._idle(step, "retries", "only a `command` is tried again")
        if kind in {Kind.TIMER, Kind.NOTIFY, Kind.RESTORE}:
            self._idle(step, "timeout", f"a step of kind {kind} takes as long as it takes")
        if kind is not Kind.COMMAND:
            self._idle(step, "repeatable", "only a step of kind command may be said to be so")
        elif _is_true(child(step, "destructive")):
            self._idle(step, "repeatable", "what is destructive is never repeated unasked")
        if kind in {Kind.DECIDE, Kind.TIMER}:
            self._idle(step, "if_not", f"nothing is expected of a step of kind {kind}")

    def _idle(self, step: Node, key: str, why: str) -> None:
        if not _says_nothing(node := child(step, key)):
            self._note(node, "has no effect", why)

    def at_destructive(self, step: Node) -> None:
        """Look whether what is destructive can be taken back, and is not rehearsed."""
        if not _is_true(child(step, "destructive")):
            return
        if _says_nothing(child(step, "undo")):
            hint = "how to take it back, or that nothing can, and what to do then"
            self._note(step, "is missing", hint, below="undo")
        rehearsal = child(step, "rehearsal")
        if text_of(rehearsal) == Rehearsal.RUN:
            self._note(rehearsal, "a rehearsal never does what is destructive", "write simulate")

    def at_ways(self, step: Node) -> None:
        """Look whether the lane is one, and whether there is a step wherever this one leads."""
        self._known(child(step, "lane"), self._lanes, "lane")
        for answer in elements(child(step, "decide")):
            runbook, go_to = child(answer, "runbook"), child(answer, "go_to")
            if not _says_nothing(runbook) and not _says_nothing(go_to):
                self._note(go_to, "has no effect", "the answer leads to a runbook")
        said = [text_of(child(each, "answer")) for each in elements(child(step, "decide"))]
        for index, answer in enumerate(elements(child(step, "decide"))):
            if said[index] and said[index] in said[:index]:
                self._note(child(answer, "answer"), "is an answer before it too")
        for node in _go_tos(step):
            self._leads(step, node)

    def _leads(self, step: Node, node: Node) -> None:
        known = [name for name in self._ids if name]
        name = self._known(node, known, "step")
        if name is None or not self._side_by_side:
            return
        lane, other = (
            text_of(child(each, "lane")) for each in (step, self.steps[self._ids.index(name)])
        )
        if lane != other:
            self._note(node, f"leads to the lane {other}", "with `side_by_side`, no step does")

    def at_texts(self, step: Node) -> None:
        """Look for braces that are left open, and for blanks that a program would be handed."""
        for node in texts_of(step):
            names = [name for name, _ in names_in(text_of(node) or "")]
            if "" in names:
                self._note(node, "`{{` without a name and `}}`", "write {{ name }}")
        for node in elements(child(step, "command")):
            names = [name for name, _ in names_in(text_of(node) or "")]
            if blank := next((name for name in names if name.endswith("?")), None):
                hint = f"a program cannot be handed a blank: write {{{{ {blank[:-1]} }}}}"
                self._note(node, "`?` in a command", hint)

    def for_steps_nobody_comes_to(self) -> None:
        """Note each step that nothing leads to, where all that leads anywhere is known."""
        if not self._ways_known or len({*self._ids} - {""}) < len(self._ids):
            return
        first: dict[str | None, int] = {}
        for index, step in enumerate(self.steps):
            first.setdefault(text_of(child(step, "lane")) if self._side_by_side else "", index)
        reached, ahead = set[int](), list(first.values())
        while ahead:
            if (index := ahead.pop()) not in reached:
                reached.add(index)
                ahead += self._following(index)
        for index, step in enumerate(self.steps):
            if index not in reached:
                hint = "a step before it never goes on to it: take it out, or go to it"
                self._note(step, "nothing leads to this step", hint)

    def _following(self, index: int) -> Iterator[int]:
        step = self.steps[index]
        answers = elements(child(step, "decide"))
        if not answers or not all(_leads_away(each) for each in answers):
            yield from self._next(index)
        yield from (self._ids.index(text_of(node) or "") for node in _go_tos(step))

    def _next(self, index: int) -> Iterator[int]:
        lane = text_of(child(self.steps[index], "lane"))
        for following in range(index + 1, len(self.steps)):
            other = text_of(child(self.steps[following], "lane"))
            if not self._side_by_side or other == lane:
                yield following
                return

    def _kind(self, step: Node) -> Kind | None:
        text = text_of(child(step, "kind"))
        return Kind(text) if text in list(Kind) else None

    def _known(self, node: Node | None, known: list[str], what: str) -> str | None:
        name = text_of(node)
        if node is None or not name or name in known:
            return name or None
        hint = did_you_mean(name, known) or f"there are {', '.join(known)}"
        self._note(node, f"there is no such {what}", hint)
        self._ways_known = False
        return None

    def _note(self, node: Node | None, message: str, hint: str = "", *, below: str = "") -> None:
        if node is not None:
            path = f"{node.path}.{below}" if below else node.path
            self.mistakes.append(self._document.problem(node.position, path, message, hint))


_ABOUT_PRACTICE = "the runbook is about the practice: write ids of systems, or all"


def _leads_away(answer: Node) -> bool:
    return any(not _says_nothing(child(answer, key)) for key in ("go_to", "runbook"))


def _go_tos(step: Node) -> Iterator[Node]:
    """Yield what names a step that this one leads to, beside the next."""
    answers = elements(child(step, "decide"))
    for node in (child(step, "if_not", "go_to"), *(child(each, "go_to") for each in answers)):
        if node is not None and not _says_nothing(node):
            yield node


def _says_nothing(node: Node | None) -> bool:
    """Whether a key is left out, or holds what counts as left out."""
    if isinstance(node, Scalar):
        return node.value in (None, "")
    return node is None or (isinstance(node, Sequence) and not node.items)


def _is_true(node: Node | None) -> bool:
    return isinstance(node, Scalar) and node.value is True
