"""The packs that a plan names, and which asset of a system plays which role in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from dr_orchestrator.core.wording import count_words
from dr_orchestrator.errors import PlanInvalid
from dr_orchestrator.packs.load import LoadedPack, find_packs, load_pack
from dr_orchestrator.packs.model import Pack, SqlFact
from dr_orchestrator.plan.document import Document, Node, child, children, elements
from dr_orchestrator.plan.load import LoadedPlan
from dr_orchestrator.plan.model import Asset, NewestRow, PackCheck, ProtectedSystem
from dr_orchestrator.plan.problem import Problem, did_you_mean, report

Packs = Mapping[str, Pack]
"""By name: those that a plan names."""


def packs_of(loaded: LoadedPlan) -> dict[str, LoadedPack]:
    """Return the packs that a plan names, by name, once each fits the systems that ask for it.

    Raises:
        PlanInvalid: a pack is not there or not valid, or a role fits no asset; `problems` is every
            mistake found.
    """
    claims = list(_claims(loaded, loaded.document))
    if not claims:
        return {}
    known = find_packs(loaded.path.resolve().parent if loaded.path.exists() else None)
    named = {claim.check.pack for claim in claims}
    packs = {name: load_pack(known[name]) for name in sorted(named & known.keys())}
    problems = sorted(
        problem for claim in claims for problem in claim.problems(packs, tuple(known))
    )
    if problems:
        mistakes = count_words(len(problems), "mistake")
        raise PlanInvalid(
            f"{loaded.path}: {mistakes}\n{report(problems)}", problems=tuple(problems)
        )
    return packs


def own_packs(loaded: LoadedPlan) -> dict[str, bytes]:
    """Return the packs that a plan names and that we do not ship, by file name.

    Raises:
        PlanInvalid: see `packs_of`.
    """
    return {
        each.path.name: each.text.encode()
        for each in packs_of(loaded).values()
        if not each.built_in
    }


def roles_of(pack: Pack, check: PackCheck, assets: Mapping[str, Asset]) -> dict[str, str]:
    """Return role -> asset of the system, leaving out what no single asset fits."""
    chosen = {}
    for role, wanted in pack.roles.items():
        fitting = [name for name, asset in assets.items() if asset.kind in wanted.kinds]
        stated = check.assets.get(role)
        if stated is not None:
            fitting = [name for name in fitting if name == stated]
        if len(fitting) == 1:
            chosen[role] = fitting[0]
    return chosen


def recognised(tables: Iterable[str], packs: Iterable[Pack]) -> tuple[Pack, ...]:
    """Return the packs that a database with these tables fits."""
    there = {name.lower() for name in tables}
    return tuple(
        pack
        for pack in packs
        if pack.known_by and {name.lower() for name in pack.known_by} <= there
    )


def pack_queries(system: ProtectedSystem, asset: str, packs: Packs) -> tuple[str, ...]:
    """Return the SQL of the packs' facts about one asset that are expected to be as at capture."""
    return tuple(
        fact.sql
        for check, pack in _of(system, packs)
        for fact in pack.checks
        if isinstance(fact, SqlFact)
        and fact.expect.needs_baseline
        and roles_of(pack, check, system.assets).get(fact.asset) == asset
    )


def newest_row(system: ProtectedSystem, packs: Packs) -> NewestRow | None:
    """Return the query for the newest row: the plan's own, else that of the first pack with one."""
    if system.newest is not None:
        return system.newest
    for check, pack in _of(system, packs):
        roles = roles_of(pack, check, system.assets)
        if pack.newest is not None and pack.newest.asset in roles:
            return NewestRow(asset=roles[pack.newest.asset], sql=pack.newest.sql)
    return None


def _of(system: ProtectedSystem, packs: Packs) -> Iterator[tuple[PackCheck, Pack]]:
    for check in system.verify:
        if isinstance(check, PackCheck) and check.pack in packs:
            yield check, packs[check.pack]


def _claims(loaded: LoadedPlan, document: Document) -> Iterator[_Claim]:
    for name, system in loaded.plan.protected.items():
        for index, check in enumerate(system.verify):
            if isinstance(check, PackCheck):
                node = elements(child(document.root, "systems", name, "verify"))[index]
                yield _Claim(document, node, system, check)


@dataclass(frozen=True)
class _Claim:
    """A system's check that names a pack, and where it stands in the plan."""

    document: Document
    node: Node
    system: ProtectedSystem
    check: PackCheck

    def problems(
        self, packs: Mapping[str, LoadedPack], known: tuple[str, ...]
    ) -> Iterator[Problem]:
        """Yield what is wrong with it."""
        if self.check.pack not in packs:
            hint = did_you_mean(self.check.pack, known) or f"there are {', '.join(known)}"
            yield self._at_name("there is no such pack", hint)
            return
        pack = packs[self.check.pack].pack
        titles = [
            each.title or packs[each.pack].pack.title
            for each in self.system.verify
            if isinstance(each, PackCheck) and each.pack in packs
        ]
        if titles.count(self.check.title or pack.title) > 1:
            yield self._at_name("another check has this title", "give each a `title`")
        age = self.system.max_data_age
        if age is not None and newest_row(self.system, {pack.name: pack}) is None:
            yield self._at_name("the pack tells no newest row", "add `newest` to the system")
        yield from self._stated_roles(pack)
        yield from self._other_roles(pack)

    def _stated_roles(self, pack: Pack) -> Iterator[Problem]:
        chosen = roles_of(pack, self.check, self.system.assets)
        for role, entry in children(child(self.node, "assets")):
            node = entry.node
            if role not in pack.roles:
                hint = did_you_mean(role, list(pack.roles)) or f"it has {', '.join(pack.roles)}"
                yield self.document.problem(entry.key, node.path, "the pack has no such role", hint)
            elif role not in chosen:
                yield self.document.problem(
                    node.position, node.path, "is of a kind that does not fit", _kinds(pack, role)
                )

    def _other_roles(self, pack: Pack) -> Iterator[Problem]:
        chosen = roles_of(pack, self.check, self.system.assets)
        for role, wanted in pack.roles.items():
            if role in chosen or role in self.check.assets:
                continue
            fitting = [
                name for name, asset in self.system.assets.items() if asset.kind in wanted.kinds
            ]
            if fitting:
                yield self._at_name(
                    f"several assets could be its `{role}`",
                    f"add `assets: {{{role}: …}}`, one of {', '.join(fitting)}",
                )
            else:
                yield self._at_name(
                    f"no asset can be its `{role}`: {wanted.about}", _kinds(pack, role)
                )

    def _at_name(self, message: str, hint: str) -> Problem:
        node = child(self.node, "pack") or self.node
        return self.document.problem(node.position, node.path, message, hint)


def _kinds(pack: Pack, role: str) -> str:
    return f"it takes an asset of kind {' or '.join(pack.roles[role].kinds)}"
