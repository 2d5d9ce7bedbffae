"""A first plan that tests what another tool saves, made of what was found in its repository. Pure.

It says what a snapshot shows and marks all else DECIDE: how fast people need the system back, and
what must be in it, stands in no repository.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import PurePosixPath
from textwrap import indent
from typing import TYPE_CHECKING, Any

from dr_orchestrator.adopt.guesses import Guess, names_for
from dr_orchestrator.adopt.snapshots import Group
from dr_orchestrator.core.point import AssetKind
from dr_orchestrator.core.wording import count_words, date_words, duration_words
from dr_orchestrator.plan.effective import written_data
from dr_orchestrator.plan.first import SYSTEM, comment, scalar
from dr_orchestrator.plan.quantity import format_duration

if TYPE_CHECKING:
    from datetime import tzinfo

_HOUR = timedelta(hours=1)
_LATE = 1.25
"""A job that takes longer today than yesterday must not break the RPO."""
_UNKNOWN = timedelta(hours=30)
"""What a job that runs every night keeps; of a single snapshot nobody knows."""
_QUERY = '"select count(*) from patient"'
_PLAN = """\
# What another tool saves, tested as it is: nothing in its repository is changed. Lines marked
# DECIDE are for a person; `dro plan show --origin` says what the rest of the plan is by default.
version: 1
practice:
  id: {practice}
  name: {practice} # DECIDE: as it is to stand on the report
  timezone: {timezone} # DECIDE: the practice's own
repositories:
  {repository}:
{stated}\
# custody: [{{holder: msp, form: vault}}] # DECIDE: who else can open the backups, and with what
systems:
  {system}:
    rto: 4h # DECIDE: after this long, people must be able to work again
    rpo: {rpo} # DECIDE: at most this much work may have to be entered again; {how_often}
    assets:
{assets}\
    # DECIDE: what must be in it. Until each asset is asked, no test can say that the data is right.
    # verify:
{checks}\
{left_out}\
# notify: [{{url: {{env: OPS_CHAT}}}}] # DECIDE: who is told when something needs a person
"""


@dataclass(frozen=True, kw_only=True)
class Adopted:
    """What the plan is made of."""

    practice: str
    timezone: str
    repository: str
    stated: Mapping[str, Any]
    """What the plan says of the repository, as JSON."""
    found: Sequence[tuple[Guess, Group]]
    """What becomes an asset."""
    left_out: Sequence[Group] = ()
    """Jobs that seem to have ended."""


def adopted_plan(adopted: Adopted, zone: tzinfo) -> str:
    """Return the text of a plan, valid as it stands."""
    names = names_for(adopted.found)
    every = [group.every for _, group in adopted.found]
    slowest = max((each for each in every if each), default=None)
    return _PLAN.format(
        practice=adopted.practice,
        timezone=scalar(adopted.timezone),
        repository=adopted.repository,
        stated=indent(written_data(adopted.stated), "    "),
        system=SYSTEM,
        rpo=format_duration(rpo_for(slowest)),
        how_often=f"one was saved every {duration_words(slowest)}"
        if slowest
        else "nobody knows how often one is saved",
        assets="".join(
            _asset(name, guess, group, adopted, zone)
            for name, (guess, group) in zip(names, adopted.found, strict=True)
        ),
        checks="".join(
            _check(name, guess) for name, (guess, _) in zip(names, adopted.found, strict=True)
        ),
        left_out="".join(_left_out(adopted.left_out, zone)),
    )


def rpo_for(every: timedelta | None) -> timedelta:
    """Return the RPO that a job keeps which saves so often; whole hours."""
    if every is None:
        return _UNKNOWN
    return max(math.ceil(_LATE * every / _HOUR), 1) * _HOUR


def group_words(group: Group) -> str:
    """Return who saves a group, and what: `vm, tag nightly: /srv`."""
    tags = f"tag {', '.join(sorted(group.tags))}" if group.tags else ""
    who = ", ".join(filter(None, (group.host, tags)))
    return f"{who or 'several hosts'}: {', '.join(group.paths)}"


def count_of(group: Group, zone: tzinfo) -> str:
    """Return how many snapshots a group has, since when, and how often."""
    often = f", every {duration_words(group.every)}" if group.every else ""
    first, newest = (date_words(each.time, zone) for each in (group.snapshots[0], group.newest))
    since = f"{first} to {newest}" if first != newest else newest
    return f"{count_words(len(group.snapshots), 'snapshot')}, {since}{often}"


def _asset(name: str, guess: Guess, group: Group, adopted: Adopted, zone: tzinfo) -> str:
    existing: dict[str, str] = {"path": guess.path, **dict(_told_apart(group, guess, adopted))}
    remarks = comment(f"{count_of(group, zone)}; {guess.why}")
    if guess.kind in {AssetKind.POSTGRES, AssetKind.MARIADB}:
        remarks += comment("DECIDE: postgres or mariadb?")
    elif not guess.certain:
        remarks += comment("DECIDE: is it that?")
    stated = written_data({"kind": guess.kind.value, "existing": existing})
    return f"      {name}:\n{indent(remarks + stated, ' ' * 8)}"


def _told_apart(group: Group, guess: Guess, adopted: Adopted) -> Iterator[tuple[str, str]]:
    """Yield host and tag where another job saves the same path, and that is all that differs."""
    path = PurePosixPath(guess.path)
    groups = {id(each): each for each in (*adopted.left_out, *(each for _, each in adopted.found))}
    others = [
        each
        for each in groups.values()
        if each is not group and any(map(path.is_relative_to, each.paths))
    ]
    if group.host.isprintable() and any(group.host and each.host != group.host for each in others):
        yield "host", group.host
    own = sorted(
        tag
        for tag in group.tags
        if tag.isprintable() and all(tag not in each.tags for each in others)
    )
    if own and any(each.host == group.host for each in others):
        yield "tag", own[0]


def _check(name: str, guess: Guess) -> str:
    if guess.kind is AssetKind.FILES:
        body = f"files: {{asset: {name}, at_least: 1}}"
    else:
        body = f'asset: {name}, sql: {_QUERY}, expect: "> 0"'
    return f"    #   - {{title: what is in {name}, {body}}}\n"


def _left_out(groups: Sequence[Group], zone: tzinfo) -> Iterator[str]:
    if groups:
        yield comment("Left out, since nothing was saved lately:")
    for each in groups:
        yield comment(f"  {group_words(each)}: {count_of(each, zone)}")
