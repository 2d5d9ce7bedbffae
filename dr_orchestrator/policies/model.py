"""A policy pack, its controls, and what comes of one.

What came of it is no sentence yet: the words of reports lie in one place (`report/words`), so a
judgement names its text there and the values that stand in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pydantic import Field

from dr_orchestrator.core.finding import Verdict
from dr_orchestrator.plan.quantity import PositiveDuration
from dr_orchestrator.plan.section import Identifier, Section

Value = str | int | datetime | timedelta | tuple[str, ...]
"""What stands in a reason. A tuple under `systems` holds their ids."""

NOTHING = "nothing_protected"
"""What is said where a plan protects nothing itself: then nothing of it can be met."""


class Control(Section):
    """One thing that is asked."""

    id: Identifier
    citation: str = Field(
        min_length=1,
        description="`45 CFR 164.308(a)(7)(ii)(A)`; for an insurer, whose question it is",
    )
    also: str = Field(default="", description="where else the same is asked")
    title: str = Field(min_length=1, description="what is asked, in plain words")
    required: bool = Field(
        default=True,
        description="false: addressable, which is to implement it or to document why not",
    )
    asks: Identifier = Field(description="name of the judgement in `controls.py`")
    within: PositiveDuration | None = Field(
        default=None,
        description="how recent it must be, or how long it may take, where the rule says so; "
        "what is our own measure is said so in `note` of the pack",
    )
    note: str = Field(default="", description="what a reader needs to know beside the title")


class Policy(Section):
    """One pack."""

    id: Identifier
    title: str = Field(min_length=1)
    source: str = Field(min_length=1, description="what was read, and when; what was not checked")
    is_law: bool = Field(
        description="false: a proposal, or a custom; it is marked so wherever it is shown"
    )
    standing: str = Field(min_length=1, description="that mark: `a proposal, not law`")
    note: str = Field(min_length=1)
    controls: tuple[Control, ...] = Field(min_length=1)


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a judgement says."""

    verdict: Verdict
    says: str
    """Which text: `exact_copies.proven` in the words of controls."""
    values: Mapping[str, Value] = field(default_factory=dict)
    since: datetime | None = None
    """When the oldest record was made that it cannot do without; `None` where there is none."""
    records: tuple[str, ...] = ()
    """Ids of what it stands on: a restore test, a drill, a sign-off."""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What came of one control."""

    control: Control
    found: Found

    @property
    def verdict(self) -> Verdict:
        """Whether what is asked is so."""
        return self.found.verdict


def met(
    says: str, *, since: datetime | None = None, records: tuple[str, ...] = (), **values: Value
) -> Found:
    """Return that it is so: `since` and `records` tell by what, which only a text has none of."""
    return Found(verdict=Verdict.MET, says=says, values=values, since=since, records=records)


def breached(
    says: str, *, since: datetime | None = None, records: tuple[str, ...] = (), **values: Value
) -> Found:
    """Return that it is not so, and that this is on record."""
    return Found(verdict=Verdict.BREACHED, says=says, values=values, since=since, records=records)


def unproven(
    says: str, *, since: datetime | None = None, records: tuple[str, ...] = (), **values: Value
) -> Found:
    """Return that nobody can tell from what is on record."""
    return Found(verdict=Verdict.UNPROVEN, says=says, values=values, since=since, records=records)
