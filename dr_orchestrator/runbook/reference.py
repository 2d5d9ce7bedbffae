"""The runbook format described by its own model: a page for people.

`scripts/reference` writes the page; a test holds the two in step.
"""

from __future__ import annotations

from collections.abc import Mapping

from dr_orchestrator.plan.reference import page_beside_plan
from dr_orchestrator.runbook.model import Kind, Runbook
from dr_orchestrator.runbook.values import BLANK, FROM_THE_PLAN, WHILE_FOLLOWED

_KINDS: Mapping[Kind, tuple[str, str]] = {
    Kind.MANUAL: ("a person does it", ""),
    Kind.COMMAND: ("a program does it; arguments are a list, no shell reads them", "`command`"),
    Kind.CHECK: (
        "a person looks, or with `command` a program, and nothing is changed by it",
        "may have `command`",
    ),
    Kind.APPROVAL: ("somebody agrees, by name", ""),
    Kind.NOTIFY: ("contacts are told by e-mail", "`notify`"),
    Kind.TIMER: ("a while is waited for, or a time limit begins to run", "`timer`"),
    Kind.RESTORE: (
        "systems are restored: to a sandbox in a rehearsal, to new folders in an incident",
        "`restore`",
    ),
    Kind.DECIDE: ("a question; each answer leads somewhere", "`decide`"),
}
_HEAD = """\
# Runbooks

One YAML file a runbook, named by its file: `emr-server-lost.yaml`. The same file is rehearsed and
followed in an incident. This page is made from the model (`scripts/reference`);
`dro plan schema --runbook` prints the same as a JSON Schema for editors, and
`dro plan validate PRACTICE` says everything that is wrong with the runbooks of a practice, at line
and column. How to write one is in [the guide](../howto/runbooks.md).

## Where they lie

The later goes before the earlier of the same name:

1. those that come with the program;
2. `runbooks/` beside the plan, or beside the folder the plan lies in;
3. `runbooks/PRACTICE/` in there, for that practice alone.

All that a practice has are saved with every recovery point. One with mistakes stops no backup; no
rehearsal follows it, nor the one we ship of its name. An incident follows that one then, and says
so; one that only does not fit the plan is followed with blanks.

**Trust.** The commands of a file that nobody but its owner can write run unasked, as the step says.
Of any other (the file or its folder is writable by others, or belongs to another user; it came out
of a repository, or with a run that was handed over) each run asks first, once, and shows them.

## Kinds of steps

| `kind` | | needs |
|---|---|---|
{kinds}

A step goes on to the next one; with `side_by_side` to the next of its lane. `decide` goes where the
answer says, and `if_not` where it says, when what was expected is not seen. A step that nothing
leads to is a mistake.

## Values

In `do`, `expect`, `if_not.say`, `undo`, `cite`, each word of `command`, `notify.subject`,
`notify.text`, `timer.of` and answers, `{{{{ name }}}}` stands for a value. There are no
expressions, a value is never read for names again, and each word of a command stays one word. A
name that the plan does not have is a mistake of the runbook. With `?` behind it, as in
`{{{{ contacts.insurer.phone? }}}}`, it becomes `{blank}`, to be filled in by hand; that is for what
not every plan has: contacts, `custody`, repositories, and what belongs to an asset. In a command it
cannot be.

| name | value |
|---|---|
{values}

What `systems.ID` has, `system` has too: of the system that the run is about, as
`{{{{ system.title }}}}`. Only while a runbook is followed there are:

| name | value |
|---|---|
{while_followed}

In a runbook `about: practice` there is no `system.…`, `point.…` and `restored.…`.
"""


def runbook_reference() -> str:
    """Return the page that describes runbooks."""
    kinds = (f"| `{kind.value}` | {words} | {needs} |" for kind, (words, needs) in _KINDS.items())
    head = _HEAD.format(
        kinds="\n".join(kinds),
        blank=BLANK,
        values=_rows(FROM_THE_PLAN),
        while_followed=_rows(WHILE_FOLLOWED),
    )
    return page_beside_plan(head, Runbook)


def _rows(names: Mapping[str, str]) -> str:
    return "\n".join(f"| `{name}` | {words} |" for name, words in names.items())
