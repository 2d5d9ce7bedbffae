"""What all trials came to: judged, kept as raw results, and shown to people."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dr_orchestrator.core.verification import Result
from scripts.mutation.trial import Kind, Trial
from scripts.mutation.verdict import Configuration

WANTED = 0.99
"""Of the damage that a check claims to see, so much must not be green."""
_BEGIN = "<!-- written by scripts/mutate: begin -->\n"
_END = "<!-- written by scripts/mutate: end -->\n"
_DEFAULT = Configuration.DEFAULT
_WITH_CHECKS = Configuration.WITH_CHECKS

Outcome = tuple[Result, tuple[str, ...]]
"""A verdict, and the checks that were not green."""


@dataclass(frozen=True, kw_only=True)
class Outcomes:
    """All trials of one kind on one subject."""

    subject: str
    kind: str
    claims: Mapping[Configuration, str]
    harmless: bool
    where: tuple[str, ...]
    said: Mapping[Configuration, tuple[Outcome, ...]]

    @classmethod
    def of(cls, subject: str, kind: Kind[Any], trials: Sequence[Trial]) -> Outcomes:
        """Add up the trials of a kind."""
        return cls(
            subject=subject,
            kind=kind.title,
            claims={each: kind.claim(each) for each in Configuration},
            harmless=kind.harmless,
            where=tuple(trial.where for trial in trials),
            said={
                each: tuple((trial.said[each].result, trial.said[each].by) for trial in trials)
                for each in Configuration
            },
        )

    def count(self, configuration: Configuration, *results: Result) -> int:
        """Return how many trials came to one of these results."""
        return sum(result in results for result, _ in self.said[configuration])

    def seen(self, configuration: Configuration) -> int:
        """Return how many trials were not green."""
        return self.count(configuration, Result.FAILED, Result.UNPROVEN)

    @property
    def trials(self) -> int:
        """How often it was tried."""
        return len(self.where)

    def is_kept(self, configuration: Configuration) -> bool:
        """Whether what is claimed is so: nothing may be claimed, and then that is so."""
        if self.harmless:
            return not self.seen(configuration)
        return not self.claims[configuration] or self.seen(configuration) >= WANTED * self.trials

    def cell(self, configuration: Configuration) -> str:
        """Return what stands in the table."""
        failed = self.count(configuration, Result.FAILED)
        unproven = self.count(configuration, Result.UNPROVEN)
        text = f"{failed}/{self.trials}" + (f" + {unproven} unproven" if unproven else "")
        if self.harmless:
            return f"{text} quiet" if not failed + unproven else f"{text} ALARM"
        if not self.is_kept(configuration):
            return f"{text} MISSED"
        return text if self.claims[configuration] else f"({text})"


@dataclass
class Results:
    """Everything that was tried in one run."""

    seed: int
    outcomes: list[Outcomes] = field(default_factory=list)
    clean: list[Trial] = field(default_factory=list)
    programs: dict[str, str] = field(default_factory=dict)

    @property
    def subjects(self) -> list[str]:
        """Their names, in the order of their first trial."""
        return list(dict.fromkeys(outcome.subject for outcome in self.outcomes))

    def alarms(self) -> list[Trial]:
        """Return the clean restores that were not green."""
        return [
            trial
            for trial in self.clean
            if any(said.result is not Result.PASSED for said in trial.said.values())
        ]

    def broken(self) -> list[str]:
        """Return what is not as claimed, a line each."""
        lines = [
            f"{outcome.subject}: {outcome.kind} ({configuration}): {outcome.cell(configuration)}"
            for outcome in self.outcomes
            for configuration in Configuration
            if not outcome.is_kept(configuration)
        ]
        lines += [
            f"{trial.subject}: alarm on a clean restore ({trial.kind}): "
            + "; ".join(said.reason for said in trial.said.values() if said.reason)
            for trial in self.alarms()
        ]
        return lines

    # --- for machines -------------------------------------------------------------------------

    def raw(self) -> str:
        """Return every trial as JSON, a kind a line."""
        kinds = ",\n".join(json.dumps(_raw(each), ensure_ascii=False) for each in self.outcomes)
        clean = ",\n".join(
            json.dumps(
                {
                    "subject": trial.subject,
                    "captured": trial.kind,
                    **{str(each): str(said.result) for each, said in trial.said.items()},
                }
            )
            for trial in self.clean
        )
        programs = json.dumps(self.programs)
        return (
            f'{{"schema": 1, "seed": {self.seed}, "programs": {programs},\n'
            f'"kinds": [\n{kinds}\n],\n"clean": [\n{clean}\n]}}\n'
        )

    # --- for people ---------------------------------------------------------------------------

    def text(self) -> str:
        """Return the tables, as Markdown."""
        parts = (
            self._summary(),
            self._table(_DEFAULT, [each for each in self._kinds() if not self._is_blind(each)]),
            self._blind_spots(),
            self._difference(),
        )
        return "\n".join(part for part in parts if part)

    def _summary(self) -> str:
        header = ("engine", "claimed kinds", "trials", "not green", "of them unproven", "rate")
        rows = []
        for subject in self.subjects:
            claimed = [
                outcome
                for outcome in self.outcomes
                if outcome.subject == subject and outcome.claims[_DEFAULT] and not outcome.harmless
            ]
            trials = sum(outcome.trials for outcome in claimed)
            seen = sum(outcome.seen(_DEFAULT) for outcome in claimed)
            unproven = sum(outcome.count(_DEFAULT, Result.UNPROVEN) for outcome in claimed)
            rate = f"{100 * seen / trials:.1f} %" if trials else "–"
            clean = [trial for trial in self.clean if trial.subject == subject]
            alarms = [trial for trial in self.alarms() if trial.subject == subject]
            rows.append(
                (
                    subject,
                    *map(str, (len(claimed), trials, seen, unproven)),
                    rate,
                    str(len(clean)),
                    str(len(alarms)),
                )
            )
        total = sum(1 for _ in self._kinds())
        programs = ", ".join(f"{name} {version}" for name, version in self.programs.items())
        return (
            f"{total} kinds of damage, {sum(each.trials for each in self.outcomes):,} trials, seed "
            f"{self.seed}{f'; {programs}' if programs else ''}.\n\n"
            + _markdown((*header, "clean restores", "false alarms"), rows)
        )

    def _kinds(self) -> Iterator[str]:
        yield from dict.fromkeys(outcome.kind for outcome in self.outcomes)

    def _of(self, kind: str) -> dict[str, Outcomes]:
        return {each.subject: each for each in self.outcomes if each.kind == kind}

    def _is_blind(self, kind: str) -> bool:
        return not any(each.claims[_DEFAULT] or each.harmless for each in self._of(kind).values())

    def _table(self, configuration: Configuration, kinds: Iterable[str]) -> str:
        rows = []
        for kind in kinds:
            found = self._of(kind)
            claims = dict.fromkeys(
                claim for each in found.values() if (claim := each.claims[configuration])
            )
            harmless = any(each.harmless for each in found.values())
            cells = [
                found[subject].cell(configuration) if subject in found else ""
                for subject in self.subjects
            ]
            rows.append((kind, *cells, "harmless" if harmless else ", ".join(claims)))
        return "## With a plan's defaults\n\n" + _markdown(
            ("damage", *self.subjects, "claimed by"), rows
        )

    def _blind_spots(self) -> str:
        rows = []
        for kind in self._kinds():
            blind = {
                subject: outcome.cell(_DEFAULT).strip("()")
                for subject, outcome in self._of(kind).items()
                if not outcome.claims[_DEFAULT] and not outcome.harmless
            }
            if blind:
                cells = ", ".join(f"{subject} {cell}" for subject, cell in blind.items())
                rows.append((kind, cells))
        if not rows:
            return ""
        return "## What no check claims to see\n\n" + _markdown(
            ("damage", "seen all the same"), rows
        )

    def _difference(self) -> str:
        rows = [
            (
                outcome.kind,
                outcome.subject,
                outcome.cell(_DEFAULT),
                outcome.cell(_WITH_CHECKS),
                outcome.claims[_WITH_CHECKS],
            )
            for outcome in self.outcomes
            if outcome.cell(_DEFAULT) != outcome.cell(_WITH_CHECKS)
        ]
        if not rows:
            return ""
        header = ("damage", "engine", "defaults", "with checks", "claimed by")
        return "## What a plan's own checks add\n\n" + _markdown(header, rows)


def _raw(outcome: Outcomes) -> dict[str, Any]:
    trials = [
        [
            where,
            *(
                part
                for configuration in Configuration
                for part in (
                    str(outcome.said[configuration][number][0]),
                    list(outcome.said[configuration][number][1]),
                )
            ),
        ]
        for number, where in enumerate(outcome.where)
    ]
    return {
        "subject": outcome.subject,
        "kind": outcome.kind,
        "claimed by": outcome.claims[_DEFAULT],
        "claimed with checks by": outcome.claims[_WITH_CHECKS],
        "harmless": outcome.harmless,
        "trials": trials,
    }


def write_page(page: Path, text: str) -> None:
    """Put the tables into the page, in the place of those of the run before."""
    before, begin, rest = page.read_text().partition(_BEGIN)
    _, end, after = rest.partition(_END)
    assert begin, f"{page} has no place for the tables"
    assert end, f"{page} has no place for the tables"
    page.write_text(f"{before}{_BEGIN}\n{text}\n{_END}{after}")


def _markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table whose columns stand under each other in a terminal, too."""
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in (header, *rows)
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines) + "\n"
