"""Repository check: all that a repository holds was read back recently enough, and is sound.

A check reads one of some equal shares, by the first byte of the packs' ids: share n of t is the
packs whose byte leaves n - 1 when divided by t (restic's cmd_check.go, `selectPacksByBucket`). So
what was read is known by byte, and a plan that asks for other shares starts nothing anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from math import ceil

from dr_orchestrator.compliance.case import CLOCK_TOLERANCE, Case
from dr_orchestrator.core.finding import Finding, Objective, Verdict
from dr_orchestrator.core.record import PracticeRecord, RepositoryChecked
from dr_orchestrator.core.run import Operation
from dr_orchestrator.core.wording import duration_words
from dr_orchestrator.plan.model import Maintenance

_BYTES = range(256)


def parts_of(maintenance: Maintenance) -> int:
    """Return into how many shares a repository is divided, so that one a check comes to all of it
    in the time the plan states; one, where nothing is on a schedule.
    """
    if maintenance.check == "never":
        return 1
    return min(ceil(maintenance.read_all_every / maintenance.check.period), len(_BYTES))


def next_part(
    checks: Iterable[RepositoryChecked], repository: str, parts: int, now: datetime
) -> int:
    """Return the share of `repository` to read now: the one with what was not read for longest."""
    read = _last_read(_believed(checks, now), repository)

    def oldest(part: int) -> tuple[bool, datetime | None, int]:
        times = [read[byte].at for byte in _bytes_of(part, parts) if byte in read]
        is_whole = len(times) == len(_bytes_of(part, parts))
        return is_whole, min(times) if is_whole else None, part

    return min(range(1, parts + 1), key=oldest)


def judge_repository_check(case: Case, record: PracticeRecord) -> Iterator[Finding]:
    """Judge each repository of a system that is to be read back, or that damage was found in."""
    checks = _believed(record.checks, case.now)
    for repository in case.repositories:
        read = _last_read(checks, repository)
        maintenance = case.plan.repositories[repository].maintenance
        unsound = [each for each in read.values() if not each.sound]
        if unsound or maintenance.check != "never":
            start = record.maintained_since.get((Operation.CHECK, repository))
            yield _judge(case, repository, maintenance, read, unsound, start=start)


def _judge(
    case: Case,
    repository: str,
    maintenance: Maintenance,
    read: Mapping[int, RepositoryChecked],
    unsound: list[RepositoryChecked],
    *,
    start: datetime | None,
) -> Finding:
    promised = f"all of it read back every {duration_words(maintenance.read_all_every)}"
    if unsound:
        first = min(unsound, key=lambda check: check.at)
        return case.finding(
            Objective.REPOSITORY_CHECK,
            Verdict.BREACHED,
            repository=repository,
            promised=promised,
            achieved=f"damage in share {first.part} of {first.parts}",
            reason=f"{repository} was read back {case.at(first.at)}, and is not sound: "
            f"{first.reason}",
            since=first.at,
        )
    allowed = maintenance.read_all_every + _period(maintenance)
    is_whole = len(read) == len(_BYTES)
    oldest = min((check.at for check in read.values()), default=None)
    due = oldest + allowed if is_whole and oldest else case.due(allowed, repository, start)
    if is_whole and oldest and case.now - oldest <= allowed:
        return case.finding(
            Objective.REPOSITORY_CHECK,
            Verdict.MET,
            repository=repository,
            promised=promised,
            achieved=f"all of it read back since {case.at(oldest)}",
            reason="all that it holds was read back, and is what was saved",
            due=due,
        )
    return case.finding(
        Objective.REPOSITORY_CHECK,
        Verdict.UNPROVEN,
        repository=repository,
        promised=promised,
        achieved=f"{100 * len(read) // len(_BYTES)} % of it read back so far" if read else "",
        reason=f"part of {repository} was not read back since {case.at(oldest)}"
        if is_whole and oldest
        else f"not all that {repository} holds was read back yet",
        due=due,
    )


def _believed(checks: Iterable[RepositoryChecked], now: datetime) -> list[RepositoryChecked]:
    """Return those that no wrong clock dated ahead: what they read would be last in turn."""
    return [each for each in checks if each.at <= now + CLOCK_TOLERANCE]


def _last_read(
    checks: Iterable[RepositoryChecked], repository: str
) -> dict[int, RepositoryChecked]:
    """Return the newest check of each byte that was read at all."""
    read: dict[int, RepositoryChecked] = {}
    of_repository = (each for each in checks if each.repository == repository)
    for check in sorted(of_repository, key=lambda each: each.at):
        read |= dict.fromkeys(_bytes_of(check.part, check.parts), check)
    return read


def _bytes_of(part: int, parts: int) -> range:
    return _BYTES[part - 1 :: parts]


def _period(maintenance: Maintenance) -> timedelta:
    return timedelta(0) if maintenance.check == "never" else maintenance.check.period
