"""Every place where patient data rests, who can open it, and where the evidence lies. By the plan
and the record: what lies elsewhere is not known to us, and the document says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dr_orchestrator.core.run import Operation, Outcome
from dr_orchestrator.core.wording import count_words, duration_words, printable, size_words
from dr_orchestrator.plan.asset_consistency import lies_in, local_folder
from dr_orchestrator.plan.model import (
    CommandAsset,
    ExistingAsset,
    FilesAsset,
    MariadbAsset,
    NotProtected,
    PostgresAsset,
    ProtectedElsewhere,
    SmbAsset,
    SqliteAsset,
)
from dr_orchestrator.plan.secret_reference import KINDS
from dr_orchestrator.report.accepted import acceptance_words
from dr_orchestrator.report.document import (
    Cell,
    Commands,
    Fact,
    Facts,
    Paragraph,
    Section,
    Table,
    Tone,
)
from dr_orchestrator.report.exact import TONES, columns, row
from dr_orchestrator.report.say import count, say
from dr_orchestrator.report.tested import restored

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dr_orchestrator.core.custody import CustodyStanding
    from dr_orchestrator.plan.model import Asset, ProtectedSystem, RepositorySpec
    from dr_orchestrator.report.exact import Exact


def places_section(exact: Exact) -> Section:
    """Return where patient data rests: at its source, in backups, for a while, and elsewhere."""
    return Section(
        id="places",
        title=say("auditor.places.title"),
        blocks=(
            Paragraph(text=say("auditor.places.explained")),
            sources(exact),
            repositories(exact),
            _for_a_while(exact),
            restored(exact),
        ),
    )


def sources(exact: Exact) -> Table:
    """Return what is protected, and where it is in use."""
    return Table(
        caption=say("auditor.sources.title"),
        columns=columns(
            "auditor.sources", ("system", 3), ("asset", 3), ("place", 5), ("copies", 3)
        ),
        rows=tuple(
            row(
                exact.view.title(name),
                Cell(text=asset, detail=say(f"auditor.kind.{spec.kind.value}")),
                _source(spec),
                ", ".join(exact.plan.repositories_of(name)),
            )
            for name, system in exact.plan.protected.items()
            for asset, spec in system.assets.items()
        ),
        empty=say("controls.nothing_protected"),
    )


def _source(spec: Asset) -> Cell:
    match spec:
        case PostgresAsset() | MariadbAsset():
            return Cell(
                text=say(
                    "auditor.sources.database", database=spec.database, host=printable(spec.host)
                )
            )
        case SmbAsset():
            folder = f"/{spec.path}" if spec.path else ""
            return Cell(text=printable(f"//{spec.host}/{spec.share}{folder}"))
        case FilesAsset():
            left_out = count("auditor.sources.excluded", len(spec.exclude)) if spec.exclude else ""
            return Cell(text=printable(str(spec.path)), detail=left_out)
        case SqliteAsset():
            return Cell(text=printable(str(spec.path)))
        case ExistingAsset():
            host = f"{spec.existing.host}:" if spec.existing.host else ""
            path = printable(f"{host}{spec.existing.path}")
            return Cell(text=path, detail=say("auditor.sources.existing"))
        case CommandAsset():
            return Cell(text=say("auditor.sources.command", program=printable(spec.dump[0])))


def repositories(exact: Exact) -> Table:
    """Return the places where backups are kept, how they are protected, and what was last seen."""
    return Table(
        caption=say("auditor.repositories.title"),
        columns=columns(
            "auditor.repositories",
            ("name", 2),
            ("place", 5),
            ("encrypted", 3),
            ("lock", 4),
            ("holds", 4),
        ),
        rows=tuple(
            row(
                name,
                Cell(
                    text=say(f"auditor.place.{spec.scheme or 'folder'}")
                    if spec.scheme in {"", "rest", "s3", "sftp"}
                    else say("auditor.place.other"),
                    detail=printable(spec.location),
                ),
                _encrypted(spec),
                _lock(exact, name, spec),
                _holds(exact, name),
            )
            for name, spec in exact.plan.repositories.items()
        ),
        empty="",
    )


def _encrypted(spec: RepositorySpec) -> Cell:
    """Return that it is, and how its key lies to it, as far as a plan tells."""
    key, folder = spec.password, local_folder(spec.location)
    where = next(kind for kind in KINDS if getattr(key, kind) is not None)
    if key.file is not None and folder is not None:
        where = "inside" if lies_in(key.file, folder) else "outside"
    return Cell(
        text=say("auditor.repositories.always"),
        tone=Tone.BAD if where == "inside" else Tone.PLAIN,
        detail=say(f"auditor.repositories.key.{where}"),
    )


def _lock(exact: Exact, name: str, spec: RepositorySpec) -> Cell:
    if not spec.keeps_attackers_out:
        return Cell(text=say("auditor.lock.none"), tone=Tone.OPEN)
    tested = exact.subject.record.immutability.get(name)
    proof = (
        say(f"auditor.lock.{tested.result.value}", at=exact.at(tested.at))
        if tested
        else say("auditor.lock.untested")
    )
    lock = spec.object_lock
    if lock is None:
        return Cell(text=say("auditor.lock.append_only"), detail=proof)
    days = count_words(lock.days, "day")
    return Cell(text=say(f"auditor.lock.{lock.mode}", days=days), detail=proof)


def _holds(exact: Exact, name: str) -> Cell:
    held = [
        point
        for point in exact.subject.record.points
        if point.copy_in(name) is not None and point.as_of <= exact.subject.now
    ]
    if not held:
        return Cell(text=say("auditor.repositories.nothing"), tone=Tone.OPEN)
    newest = {point.system: point for point in held}
    size = sum(asset.bytes for point in newest.values() for asset in point.assets.values())
    checks = [each for each in exact.subject.record.checks if each.repository == name]
    read = (
        say("auditor.repositories.read", at=exact.at(max(each.at for each in checks)))
        if checks
        else say("auditor.repositories.never_read")
    )
    return Cell(
        text=count(
            "auditor.repositories.points",
            len(held),
            oldest=exact.at(held[0].as_of),
            size=size_words(size),
        ),
        detail=read,
    )


def _for_a_while(exact: Exact) -> Table:
    """Return where patient data is only for a while, and where it never is."""
    assets = [each for system in exact.plan.protected.values() for each in system.assets.values()]
    labs = sorted({lab for each in assets if (lab := getattr(each, "lab", None))})
    mirrors = any(isinstance(each, SmbAsset) for each in assets)
    kinds = (
        "sandbox",
        *(["lab"] if labs else []),
        "staging",
        *(["mirror"] if mirrors else []),
        "kit",
        "record",
        "reports",
    )
    return Table(
        caption=say("auditor.transient.title"),
        columns=columns("auditor.transient", ("place", 3), ("what", 5), ("until", 4)),
        rows=tuple(
            row(
                say(f"auditor.transient.{kind}.place", names=", ".join(labs)),
                say(f"auditor.transient.{kind}.what"),
                say(f"auditor.transient.{kind}.until"),
            )
            for kind in kinds
        ),
        empty="",
    )


def coverage(exact: Exact) -> Table:
    """Return every system of the plan, and who protects it."""
    return Table(
        caption=say("auditor.coverage.title"),
        columns=columns("auditor.coverage", ("system", 3), ("by", 4), ("promise", 4)),
        rows=tuple(_covered(exact)),
        empty="",
    )


def _covered(exact: Exact) -> Iterator[tuple[Cell, ...]]:
    for name, system in exact.plan.systems.items():
        title = exact.view.title(name)
        match system:
            case ProtectedElsewhere():
                by = say("auditor.coverage.elsewhere", who=printable(system.protected_by))
                yield row(title, Cell(text=by, tone=Tone.OPEN), say("auditor.coverage.not_tested"))
            case NotProtected():
                why = say("auditor.coverage.because", why=printable(system.not_protected))
                accepted = say(
                    "auditor.coverage.accepted",
                    who=exact.who(system.accepted_by),
                    signed=acceptance_words(exact.view, name),
                )
                yield row(
                    title,
                    Cell(text=say("auditor.coverage.nobody"), tone=Tone.BAD, detail=why),
                    accepted,
                )
            case _:
                promise = say(
                    "auditor.coverage.promise",
                    importance=_importance(system),
                    rto=duration_words(system.rto),
                    rpo=duration_words(system.rpo),
                )
                yield row(title, say("auditor.coverage.ours"), promise)


def _importance(system: ProtectedSystem) -> str:
    """Return how important a system is, and where the plan does not say so, that it does not."""
    if "importance" in system.model_fields_set:
        return system.importance
    return say("auditor.coverage.by_default", importance=system.importance)


def custody_section(exact: Exact) -> Section:
    """Return who holds a key to the backups, and when it was last proven that it opens them."""
    return Section(
        id="custody",
        title=say("auditor.custody.title"),
        blocks=(
            Table(
                caption=say("auditor.custody.table"),
                columns=columns(
                    "auditor.custody", ("holder", 3), ("form", 3), ("every", 3), ("proven", 3)
                ),
                rows=tuple(
                    row(
                        exact.who(each.holder),
                        printable(each.form),
                        duration_words(each.prove_every)
                        if each.prove_every
                        else say("auditor.custody.not_asked"),
                        _proven(exact, each),
                    )
                    for each in exact.view.custody
                ),
                empty=say("auditor.custody.none"),
            ),
        ),
    )


def _proven(exact: Exact, each: CustodyStanding) -> Cell:
    tone = TONES[each.verdict(exact.subject.now)]
    if each.failed:
        first = each.failed[0]
        names = ", ".join(proof.repository for proof in each.failed)
        text = say("auditor.custody.failed", names=names, at=exact.at(first.at))
        return Cell(text=text, tone=tone, detail=first.reason)
    due = say("auditor.custody.due", at=exact.at(each.due)) if each.due else ""
    if each.proven is not None:
        text = say("auditor.custody.proven", at=exact.at(each.proven))
        return Cell(text=text, tone=tone, detail=due)
    names = ", ".join(each.unproven)
    return Cell(text=say("auditor.custody.never", names=names), tone=tone, detail=due)


def evidence_section(exact: Exact) -> Section:
    """Return where the evidence is kept, for how long, and where its head lies out of our reach."""
    seen = exact.subject.evidence
    saved = max(
        (
            run
            for run in exact.subject.record.last_runs
            if run.operation is Operation.EVIDENCE and run.finished_at is not None
        ),
        key=lambda run: run.started_at,
        default=None,
    )
    if saved is None:
        lies = Fact(
            label=say("auditor.evidence.saved"), text=say("auditor.evidence.never"), tone=Tone.OPEN
        )
    else:
        whole = saved.outcome is Outcome.DONE
        lies = Fact(
            label=say("auditor.evidence.saved"),
            text=say(
                f"auditor.evidence.{'everywhere' if whole else 'not_everywhere'}",
                at=exact.at(saved.finished_at),
                names=", ".join(exact.plan.used_repositories),
            ),
            tone=Tone.PLAIN if whole else Tone.OPEN,
        )
    return Section(
        id="evidence",
        title=say("auditor.evidence.title"),
        blocks=(
            Paragraph(text=say("auditor.evidence.explained")),
            Facts(
                facts=(
                    Fact(label=say("auditor.evidence.chain"), text=_or_none(seen.chain)),
                    Fact(label=say("auditor.evidence.lines"), text=f"{seen.number:,}"),
                    Fact(label=say("auditor.evidence.head"), text=_or_none(seen.head)),
                    Fact(label=say("auditor.evidence.key"), text=_or_none(seen.fingerprint)),
                    Fact(
                        label=say("auditor.evidence.others"),
                        text=", ".join(seen.others) or say("auditor.evidence.no_others"),
                    ),
                    lies,
                )
            ),
            _anchors(exact),
        ),
    )


def _or_none(text: str) -> str:
    return text or say("auditor.evidence.none")


def _anchors(exact: Exact) -> Table:
    return Table(
        caption=say("auditor.anchors.title"),
        columns=columns("auditor.anchors", ("when", 2), ("place", 4), ("line", 4), ("result", 3)),
        rows=tuple(
            row(
                exact.at(each.at),
                printable(each.place),
                Cell(text=f"{each.number:,}", detail=each.head),
                Cell(
                    text=say(f"auditor.anchors.{'failed' if each.reason else 'done'}"),
                    tone=Tone.BAD if each.reason else Tone.GOOD,
                    detail=printable(each.reason),
                ),
            )
            for each in reversed(exact.subject.evidence.anchors)
        ),
        empty=say("auditor.anchors.none"),
    )


def verify_section(exact: Exact) -> Section:
    """Return how to check that nothing was altered, with us and without us."""
    seen, practice = exact.subject.evidence, exact.plan.practice.id
    if not seen.head:
        blocks: tuple[Paragraph | Commands, ...] = (Paragraph(text=say("auditor.verify.nothing")),)
    else:
        file = f"{practice}-evidence.zip"
        blocks = (
            Paragraph(text=say("auditor.verify.explained")),
            Commands(
                lines=(
                    f"dro evidence verify {practice} --expect {seen.head}",
                    f"dro evidence export {practice} --out {file}",
                    f"python3 {file} --key {seen.fingerprint} --expect {seen.head}",
                )
            ),
            Paragraph(text=say("auditor.verify.outside")),
        )
    return Section(id="verify", title=say("auditor.verify.title"), blocks=blocks)
