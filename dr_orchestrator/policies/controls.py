"""Every judgement that a pack can ask for, by name, and how a pack is judged.

A judgement is a pure function of what is known and of its control. It says `met` only by what was
done and recorded, and by a text alone only where a text is all that is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from dr_orchestrator.core.finding import Verdict
from dr_orchestrator.policies import keeping, people, restoring, texts
from dr_orchestrator.policies.model import Control, Found, Judged, Policy, unproven

if TYPE_CHECKING:
    from dr_orchestrator.policies.known import Known

Judgement = Callable[["Known", Control], Found]

TEXTS: tuple[Judgement, ...] = (
    texts.coverage_listed,
    texts.criticality,
    texts.key_holders,
)
"""Those that a text alone may meet, with nothing on record."""
JUDGEMENTS: Mapping[str, Judgement] = MappingProxyType(
    {
        each.__name__: each
        for each in (
            *TEXTS,
            texts.documented,
            texts.failures_told,
            texts.not_known,
            texts.written_plan,
            keeping.activity_recorded,
            keeping.copy_before_moving,
            keeping.encrypted,
            keeping.indestructible,
            keeping.kept_apart,
            keeping.record_kept,
            keeping.retention_depth,
            people.activation_told,
            people.at_hand,
            people.certified,
            people.corrected,
            people.emergency_access,
            people.emergency_mode,
            people.exercise,
            people.facility_access,
            people.reviewed,
            restoring.backups_in_time,
            restoring.copies_within,
            restoring.data_intact,
            restoring.exact_copies,
            restoring.last_test,
            restoring.objectives_kept,
            restoring.restore_procedure,
            restoring.restored_within,
            restoring.runbook_gone_through,
            restoring.sample_restored,
            restoring.tested_and_revised,
        )
    }
)


def judge_policy(policy: Policy, known: Known) -> tuple[Judged, ...]:
    """Return what came of each control of a pack, in its order. Pure."""
    return tuple(
        Judged(control=control, found=_judge(control, known)) for control in policy.controls
    )


def _judge(control: Control, known: Known) -> Found:
    found = JUDGEMENTS[control.asks](known, control)
    is_doubted = known.is_altered and found.verdict is Verdict.MET
    return unproven("altered") if is_doubted else found
