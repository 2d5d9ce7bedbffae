"""`kit.json`: what the kit's own script reads. docs/reference/kit.md describes it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from dr_orchestrator import __version__
from dr_orchestrator.core.manifest_codec import encode_json
from dr_orchestrator.runbook.kit.given import Held, KitInput, Way, held, inputs_of, ways
from dr_orchestrator.runbook.order import waits_for

KIT_SCHEMA = 1
MADE_BY = f"dr-orchestrator {__version__}"


def kit_json(given: KitInput) -> bytes:
    """Return `kit.json`. The same input gives the same bytes."""
    plan = given.plan
    order = waits_for(plan, plan.protected)
    content = {
        "schema": KIT_SCHEMA,
        "practice": plan.practice.id,
        "practice_name": plan.practice.name,
        "timezone": plan.practice.timezone.key,
        "made": _iso(given.made),
        "expires": _iso(given.expires),
        "inputs": inputs_of(given.loaded, given.runbooks),
        "plan_sha256": given.loaded.sha256,
        "made_by": MADE_BY,
        "repositories": {each.repository: _way(each) for each in ways(given)},
        "systems": {
            name: {
                "title": plan.protected[name].title,
                "order": number,
                "waits_for": list(order[name]),
                "rto_seconds": plan.protected[name].rto.total_seconds(),
                "repositories": list(plan.repositories_of(name)),
                "assets": {
                    asset: {"kind": spec.kind.value, "method": spec.method.value}
                    for asset, spec in plan.protected[name].assets.items()
                },
            }
            for number, name in enumerate(order, start=1)
        },
        "points": {name: [_point(each, given) for each in held(given, name)] for name in order},
    }
    return encode_json(content)


def _way(way: Way) -> dict[str, Any]:
    return {name: value for name, value in vars(way).items() if name != "repository"}


def _point(each: Held, given: KitInput) -> dict[str, Any]:
    kept = given.kept.get(each.point.id) if each.copy.is_existing else None
    return {
        **({"manifest": kept} if kept else {}),
        "id": each.point.id,
        "as_of": _iso(each.point.as_of),
        "repository": each.copy.repository,
        "manifest_snapshot": each.copy.manifest_snapshot,
        "manifest_sha256": each.copy.manifest_sha256,
        "assets": dict(each.copy.snapshots),
        "bytes": each.bytes,
        "proven": _iso(each.proven) if each.proven else None,
    }


def _iso(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat()
