"""A plan with nothing left to work out: defaults filled in, written out, and where each is from.

The effective plan goes into every repository, so it must read back to an equal plan for as long as
this format lives, and the same plan must give the same bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from zoneinfo import ZoneInfo

import yaml

from dr_orchestrator.plan.document import Node, children, elements
from dr_orchestrator.plan.model import (
    Check,
    Plan,
    ProtectedSystem,
    RepositorySpec,
    RestoreTestSpec,
    RunCheck,
    SqlCheck,
    System,
    Timing,
)
from dr_orchestrator.plan.schedule import Schedule

_NIGHTLY, _WEEKLY = "03:30", "Sun 04:00"
_PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9_./-]*(?: [A-Za-z0-9_./-]+)*|(?:[0-9]+[dhms])+", re.ASCII)
_NOT_PLAIN = re.compile(r"(?i)yes|no|on|off|true|false|null|y|n")
_OPEN = "practice.open"
_DEFAULTS: tuple[tuple[str, str], ...] = (
    (r"practice\.timezone", "UTC"),
    (r"practice\.open\..*", "always open"),
    (r"contacts\.[^.]+\.signs", "only the contact named manager"),
    (r"systems\.[^.]+\.title", "the system's id"),
    (r"systems\.[^.]+\.runbook", "by what the system holds"),
    (r".*\.backup\.schedule", "every half RPO"),
    (r".*\.backup\.copying\..*", "after each backup"),
    (r".*\.backup\.to\[\d+\]", "the plan's first repository"),
    (r".*\.restore_tests\[\d+\]\.prove_every", "twice the test's own interval"),
    (r".*\.restore_tests\[\d+\]\.from", "the first repository the system is backed up to"),
    (r".*\.restore_tests\[0\]\.schedule", "nightly from the first repository"),
    (r".*\.restore_tests\[\d+\]\.schedule", "weekly from each further repository"),
    (r".*\.verify\[\d+\]", "compared with what it was at capture"),
    (r".*\.verify\[\d+\]\.title", "the pack's own title"),
    (r".*\.verify\[\d+\]\.assets", "the only asset of each kind the pack asks"),
    (r".*\.(newest|verify\[\d+\])\.timezone", "the practice's time zone"),
)


def with_defaults(plan: Plan) -> Plan:
    """Return the plan with every default that depends on another part of it."""
    systems = {name: _system(name, system, plan) for name, system in plan.systems.items()}
    repositories = {
        name: _repository(spec, only_read=plan.only_reads(name))
        for name, spec in plan.repositories.items()
    }
    contacts = {
        name: contact.model_copy(update={"signs": name in plan.signers})
        for name, contact in plan.contacts.items()
    }
    return plan.model_copy(
        update={"contacts": contacts, "systems": systems, "repositories": repositories}
    )


def _repository(spec: RepositorySpec, *, only_read: bool) -> RepositorySpec:
    """Return a repository in which nothing is removed where the server lets nothing be removed, or
    where all that is there is another tool's.
    """
    if spec.lets_us_remove and not only_read:
        return spec
    maintenance = spec.maintenance.model_copy(update={"forget": "never", "prune": "never"})
    return spec.model_copy(update={"maintenance": maintenance})


def _system(name: str, system: System, plan: Plan) -> System:
    changes: dict[str, Any] = {"title": system.title or name}
    if isinstance(system, ProtectedSystem):
        to = system.backup.to or (plan.first_repository,)
        zone = plan.practice.timezone
        copying = system.backup.copying
        if system.backup.copy_to and copying is None:
            copying = Timing(schedule=system.backup.schedule)
        changes["backup"] = system.backup.model_copy(update={"to": to, "copying": copying})
        held_in = tuple(dict.fromkeys((*to, *system.backup.copy_to)))
        changes["restore_tests"] = _restore_tests(system, held_in)
        changes["verify"] = tuple(_check(check, zone) for check in system.verify)
        if system.newest is not None and system.newest.timezone is None:
            changes["newest"] = system.newest.model_copy(update={"timezone": zone})
    return system.model_copy(update=changes)


def _restore_tests(system: ProtectedSystem, to: tuple[str, ...]) -> tuple[RestoreTestSpec, ...]:
    if "restore_tests" in system.model_fields_set:
        return tuple(
            test.model_copy(update={"from_": test.from_ or to[0]}) for test in system.restore_tests
        )
    return tuple(
        RestoreTestSpec(schedule=Schedule.parse(_WEEKLY if index else _NIGHTLY)).model_copy(
            update={"from_": repository}
        )
        for index, repository in enumerate(to)
    )


def _check(check: Check, zone: ZoneInfo) -> Check:
    if isinstance(check, SqlCheck | RunCheck) and check.timezone is None:
        return check.model_copy(update={"timezone": zone})
    return check


def plan_data(plan: Plan) -> dict[str, Any]:
    """Return a complete plan as JSON has it, in the order of the reference."""
    return plan.model_dump(mode="json", by_alias=True, exclude_none=True)


def written(plan: Plan) -> str:
    """Return a complete plan as text that reads back to an equal one. Same plan, same text."""
    return written_data(plan_data(plan))


def origins_of(plan: Plan, stated: Mapping[str, str]) -> dict[str, str]:
    """Return where each single value of a complete plan is from: file and line, or why."""
    origins = {}
    for path, _ in leaves(plan_data(plan)):
        # opening hours are written out in another shape than they may be stated in
        place = stated.get(_OPEN if path.startswith(_OPEN) else path)
        origins[path] = place or f"default: {_reason(path)}"
    return origins


def leaves(data: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every single value of JSON data with its field path; an empty collection is one."""
    if isinstance(data, Mapping) and data:
        for key, value in data.items():
            yield from leaves(value, f"{path}.{key}" if path else key)
    elif isinstance(data, list) and data:
        for index, value in enumerate(data):
            yield from leaves(value, f"{path}[{index}]")
    else:
        yield path, data


def places_of(node: Node, file: str) -> Iterator[tuple[str, str]]:
    """Yield the field path of a node, and of all below it, with file and line: `riverside.yaml:12`.
    `file` is the name of the plan's own.
    """
    position = node.position
    name = position.file.rpartition("/")[2] or file
    yield node.path, f"{name}:{position.line}"
    for _, entry in children(node):
        yield from places_of(entry.node, file)
    for item in elements(node):
        yield from places_of(item, file)


def written_data(data: Any) -> str:
    """Return plain data of a plan as text that reads back to the same. Same data, same text."""
    return yaml.dump(
        data,
        Dumper=_Writer,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=False,
        width=1 << 20,
    )


def _reason(path: str) -> str:
    return next(
        (words for pattern, words in _DEFAULTS if re.fullmatch(pattern, path)),
        "of the plan format",
    )


class _Writer(yaml.SafeDumper):
    """Writes text in quotes wherever any reader of YAML could take it for something else."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - PyYAML's signature
        return True


def _represent_text(writer: _Writer, text: str) -> yaml.ScalarNode:
    plain = _PLAIN.fullmatch(text) and not _NOT_PLAIN.fullmatch(text)
    return writer.represent_scalar("tag:yaml.org,2002:str", text, style=None if plain else '"')


_Writer.add_representer(str, _represent_text)
