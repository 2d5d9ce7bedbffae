"""The tables, as the newest version of this program has them.

One journal, append-only, and projections of it that answer questions quickly: everything in them
follows from the journal, except who works on what just now (claims, locks, schedulers, when a
schedule was last looked at), which is of the moment. A change here needs a migration beside it; a
test compares the two.

Written for SQLite and PostgreSQL alike.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Connection,
    DateTime,
    Dialect,
    Float,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    column,
    event,
    false,
    insert,
    table,
    text,
)
from sqlalchemy.types import TypeEngine

from dr_orchestrator.store.codec import instant_from, instant_text

STORE_VERSION = "0009"
"""The newest migration. Four digits, so that versions compare as text."""


class Instant(TypeDecorator[datetime]):
    """An aware instant: text of fixed width in SQLite, a timestamp in PostgreSQL."""

    impl = String(27)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose the column's type."""
        if dialect.name == "postgresql":
            return dialect.type_descriptor(DateTime(timezone=True))
        return dialect.type_descriptor(String(27))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """Refuse a time without a zone, whatever the database would make of it."""
        if value is None:
            return None
        written = instant_text(value)
        return value if dialect.name == "postgresql" else written

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:  # noqa: ARG002
        """Return what makes it aware and in UTC, with no step more: it reads tens of thousands."""
        if dialect.name == "postgresql":
            return lambda value: value and value.astimezone(UTC)
        return lambda value: value and instant_from(value)


metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

journal = Table(
    "journal",
    metadata,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("at", Instant, nullable=False),
    Column("kind", Text, nullable=False),
    Column("practice", Text, nullable=False),
    Column("payload", Text, nullable=False),
    Index("ix_journal_practice", "practice", "seq"),
    sqlite_autoincrement=True,
)

run = Table(
    "run",
    metadata,
    Column("id", Text, primary_key=True),
    Column("operation", Text, nullable=False),
    Column("practice", Text, nullable=False),
    Column("system", Text, nullable=False),
    Column("repository", Text),
    Column("schedule_id", Text),
    Column("due_at", Instant),
    Column("attempt", Integer, nullable=False),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("pid_started", Text, nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("finished_at", Instant),
    Column("outcome", Text),
    Column("reason", Text, nullable=False),
    UniqueConstraint("schedule_id", "due_at", "attempt"),
    CheckConstraint("(finished_at IS NULL) = (outcome IS NULL)", name="closed"),
    Index("ix_run_practice", "practice", "system", "started_at"),
    Index("ix_run_started_at", "started_at"),
    Index("ix_run_practice_started_at", "practice", "started_at"),
    Index(
        "ix_run_open",
        "started_at",
        sqlite_where=text("finished_at IS NULL"),
        postgresql_where=text("finished_at IS NULL"),
    ),
    Index(
        "ix_run_test_by_hand",
        *("practice", "id"),
        sqlite_where=text("operation = 'restore test' AND schedule_id IS NULL"),
        postgresql_where=text("operation = 'restore test' AND schedule_id IS NULL"),
    ),
)

attempted = Table(
    "attempted",
    metadata,
    Column("practice", Text, primary_key=True),
    Column("operation", Text, primary_key=True),
    Column("system", Text, primary_key=True),
    # Empty where the run had none: in a key nothing may be missing.
    Column("repository", Text, primary_key=True),
    Column("first_started", Instant, nullable=False),
    Column("newest_run", Text),
    Column("newest_finished", Instant),
    CheckConstraint("(newest_run IS NULL) = (newest_finished IS NULL)", name="newest"),
)
"""What was ever attempted: when first, and the newest of its runs that finished. A verdict needs
no more of a million runs, and must not walk through them."""

point = Table(
    "point",
    metadata,
    # Ids come out of repositories too: the practice keeps one practice's from hiding another's.
    Column("practice", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("system", Text, nullable=False),
    Column("run", Text, nullable=False),
    Column("label", Text),
    Column("as_of", Instant, nullable=False),
    Column("finished", Instant, nullable=False),
    Column("data_as_of", Instant),
    Column("skew_seconds", Float, nullable=False),
    Index("ix_point_system", "practice", "system", "as_of"),
)

point_asset = Table(
    "point_asset",
    metadata,
    Column("practice", Text, primary_key=True),
    Column("point", Text, primary_key=True),
    Column("asset", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("method", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("level", Text, nullable=False),
    Column("data_as_of", Instant),
    Column("files", BigInteger),
    Column("changed_files", BigInteger),
    Column("added_bytes", BigInteger),
    Column("much_new", Boolean, nullable=False, server_default=false()),
    Column("server", Text, nullable=False, server_default=""),
    ForeignKeyConstraint(["practice", "point"], ["point.practice", "point.id"]),
    Index("ix_point_asset_much_new", "practice", "much_new", "point"),
)
"""`much_new`: see `PracticeRecord.forgotten`."""

point_copy = Table(
    "point_copy",
    metadata,
    Column("practice", Text, primary_key=True),
    Column("point", Text, primary_key=True),
    Column("repository", Text, primary_key=True),
    Column("manifest_snapshot", Text, nullable=False),
    Column("manifest_sha256", Text, nullable=False),
    Column("snapshots", Text, nullable=False),
    Column("recorded_at", Instant, nullable=False),
    Column("read_back", Boolean, nullable=False, server_default=false()),
    ForeignKeyConstraint(["practice", "point"], ["point.practice", "point.id"]),
)

restore_test = Table(
    "restore_test",
    metadata,
    Column("id", Text, primary_key=True),
    Column("practice", Text, nullable=False),
    Column("system", Text, nullable=False),
    Column("repository", Text, nullable=False),
    # No foreign key: a test outlives its point, and a rebuilt record may know only the one.
    Column("point", Text, nullable=False),
    Column("point_as_of", Instant, nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("finished_at", Instant, nullable=False),
    Column("result", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("rta_data_seconds", Float),
    Column("rta_service_seconds", Float),
    Column("proof_seconds", Float, nullable=False),
    Column("rpa_seconds", Float, nullable=False),
    Column("newest", Instant),
    Column("data_age_seconds", Float),
    Column("depth", Integer, nullable=False),
    Column("sandbox", Text, nullable=False),
    Column("verifications", Text, nullable=False),
    Column("conditions", Text, nullable=False),
    Column("follow_up_of", Text),
    Column("next", Text, nullable=False),
    Column("part", Integer, nullable=False, server_default="1"),
    Column("parts", Integer, nullable=False, server_default="1"),
    Index("ix_restore_test_system", "practice", "system", "started_at"),
    Index("ix_restore_test_point", "practice", "point"),
    Index(
        "ix_restore_test_result",
        *("practice", "result", "started_at", "system", "repository", "id"),
    ),
    Index(
        "ix_restore_test_follow_up",
        *("practice", "started_at", "result"),
        sqlite_where=text("follow_up_of IS NOT NULL"),
        postgresql_where=text("follow_up_of IS NOT NULL"),
    ),
)

repository = Table(
    "repository",
    metadata,
    Column("practice", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("restic_id", Text, nullable=False),
    Column("first_seen", Instant, nullable=False),
)

# --- what is due, and who works on it ------------------------------------------------------------

schedule = Table(
    "schedule",
    metadata,
    Column("id", Text, primary_key=True),
    # Of the moment: the newest instant that was handed out, else when it was first seen.
    Column("last_due", Instant, nullable=False),
)

occurrence = Table(
    "occurrence",
    metadata,
    Column("id", Text, primary_key=True),
    Column("schedule_id", Text, nullable=False),
    Column("due_at", Instant, nullable=False),
    Column("practice", Text, nullable=False),
    Column("operation", Text, nullable=False),
    Column("system", Text, nullable=False),
    Column("repository", Text),
    Column("point", Text, nullable=False),
    Column("skipped", Text, nullable=False),
    Column("keeps_older", Boolean, nullable=False),
    Column("emergency", Boolean, nullable=False),
    Column("settled_at", Instant),
    Column("outcome", Text),
    Column("reason", Text, nullable=False),
    UniqueConstraint("schedule_id", "due_at"),
    Index("ix_occurrence_practice", "practice", "due_at"),
    Index("ix_occurrence_due_at", "due_at"),
    # Reports go through years of them, and backups are a hundred times as many.
    Index(
        "ix_occurrence_restore_test",
        *("practice", "due_at", "skipped", "outcome"),
        sqlite_where=text("operation = 'restore test'"),
        postgresql_where=text("operation = 'restore test'"),
    ),
    Index(
        "ix_occurrence_open",
        "due_at",
        sqlite_where=text("settled_at IS NULL"),
        postgresql_where=text("settled_at IS NULL"),
    ),
)
"""A skipped one is settled from the start."""

claim = Table(
    "claim",
    metadata,
    # Of the moment: one row an occurrence that is not settled, made by its first attempt.
    Column("occurrence", Text, primary_key=True),
    Column("attempt", Integer, nullable=False),
    Column("spared", Integer, nullable=False),
    Column("token", Text),
    Column("host", Text),
    Column("pid", Integer),
    Column("pid_started", Text),
    Column("heartbeat_at", Instant),
    Column("cancel_requested", Boolean, nullable=False),
    Column("not_before", Instant),
    Column("outcome", Text),
    Column("reason", Text, nullable=False),
    CheckConstraint("(token IS NULL) = (heartbeat_at IS NULL)", name="held"),
)
"""While an attempt is under way it has a token; whoever holds another token has lost it. Of its
attempts, `spared` do not count: somebody else was at work then."""

lock = Table(
    "lock",
    metadata,
    # Of the moment. A row without `granted_at` waits its turn.
    Column("key", Text, primary_key=True),
    Column("holder", Text, primary_key=True),
    Column("exclusive", Boolean, nullable=False),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("pid_started", Text, nullable=False),
    Column("asked_at", Instant, nullable=False),
    Column("granted_at", Instant),
    Column("heartbeat_at", Instant, nullable=False),
)

scheduler = Table(
    "scheduler",
    metadata,
    # Of the moment: one row a scheduler that runs, or did.
    Column("host", Text, primary_key=True),
    Column("pid", Integer, primary_key=True),
    Column("pid_started", Text, primary_key=True),
    Column("started_at", Instant, nullable=False),
    Column("heartbeat_at", Instant, nullable=False),
)

# --- what keeps a point, and what was read back --------------------------------------------------

hold = Table(
    "hold",
    metadata,
    Column("practice", Text, primary_key=True),
    Column("point", Text, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("until", Instant),
    Column("by", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("released", Boolean, nullable=False),
)
"""A released row says that not even the point's label keeps it."""

repository_check = Table(
    "repository_check",
    metadata,
    Column("practice", Text, primary_key=True),
    Column("repository", Text, primary_key=True),
    Column("parts", Integer, primary_key=True),
    Column("part", Integer, primary_key=True),
    Column("run", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("sound", Boolean, nullable=False),
    Column("reason", Text, nullable=False),
)
"""The newest check of each part."""

freeze = Table(
    "freeze",
    metadata,
    Column("practice", Text, primary_key=True),
    Column("repository", Text, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("why", Text, nullable=False),
)
"""The repositories in which nothing is forgotten until a person releases them."""

retention_release = Table(
    "retention_release",
    metadata,
    Column("practice", Text, primary_key=True),
    Column("repository", Text, primary_key=True),
    Column("at", Instant, nullable=False),
)
"""When a person last looked into a frozen repository, and let retention go on."""

accepted_snapshot = Table(
    "accepted_snapshot",
    metadata,
    Column("practice", Text, primary_key=True),
    Column("repository", Text, primary_key=True),
    Column("snapshot", Text, primary_key=True),
)
"""Snapshots that we did not make, and that a person knows of."""

lock_extension = Table(
    "lock_extension",
    metadata,
    Column("practice", Text, primary_key=True),
    Column("repository", Text, primary_key=True),
    Column("location", Text, nullable=False),
    Column("run", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("objects", Integer, nullable=False),
    Column("extended", Integer, nullable=False),
    Column("until", Instant),
)
"""The newest of each repository."""

immutability_test = Table(
    "immutability_test",
    metadata,
    Column("practice", Text, primary_key=True),
    Column("repository", Text, primary_key=True),
    Column("location", Text, nullable=False),
    Column("run", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("attempts", Text, nullable=False),
)
"""The newest of each repository that came to a result, else the newest."""

pause = Table(
    "pause",
    metadata,
    Column("practice", Text, primary_key=True),
    Column("system", Text, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("until", Instant, nullable=False),
    Column("by", Text, nullable=False),
    Column("why", Text, nullable=False),
)

# --- who was told of what ------------------------------------------------------------------------

problem = Table(
    "problem",
    metadata,
    Column("id", Text, primary_key=True),
    Column("key", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("practice", Text, nullable=False),
    Column("system", Text, nullable=False),
    Column("what", Text, nullable=False),
    Column("next", Text, nullable=False),
    Column("since", Instant),
    Column("opened_at", Instant, nullable=False),
    Column("acknowledged_at", Instant),
    Column("acknowledged_by", Text, nullable=False),
    Column("closed_at", Instant),
    Index("ix_problem_practice", "practice", "opened_at"),
    Index(
        "ix_problem_open",
        "practice",
        "key",
        unique=True,
        sqlite_where=text("closed_at IS NULL"),
        postgresql_where=text("closed_at IS NULL"),
    ),
)

telling = Table(
    "telling",
    metadata,
    Column("problem", Text, primary_key=True),
    Column("channel", Text, primary_key=True),
    Column("at", Instant, primary_key=True),
    Column("practice", Text, nullable=False),
    Column("occasion", Text, nullable=False),
    Column("delivered", Boolean, nullable=False),
    Column("reason", Text, nullable=False),
)

# --- runbooks that were followed -----------------------------------------------------------------

runbook_run = Table(
    "runbook_run",
    metadata,
    Column("id", Text, primary_key=True),
    Column("practice", Text, nullable=False),
    Column("incident", Text, nullable=False),
    Column("mode", Text, nullable=False),
    Column("opened_at", Instant, nullable=False),
    Column("closed", Boolean, nullable=False),
    Column("run", Text, nullable=False),
    Index("ix_runbook_run_practice", "practice", "opened_at"),
    Index("ix_runbook_run_incident", "incident"),
)
"""`run` is the whole of it, as JSON."""

runbook_move = Table(
    "runbook_move",
    metadata,
    Column("run", Text, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("move", Text, nullable=False),
)
"""`move` is the whole of it, as JSON."""

step_exercised = Table(
    "step_exercised",
    metadata,
    Column("practice", Text, primary_key=True),
    Column("runbook", Text, primary_key=True),
    Column("system", Text, primary_key=True),
    Column("step", Text, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("mode", Text, nullable=False),
    Column("run", Text, nullable=False),
)
"""The newest time that each step was really done, by people or by us; what a rehearsal only said
is not in it."""

drill = Table(
    "drill",
    metadata,
    Column("id", Text, primary_key=True),
    Column("practice", Text, nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("drill", Text, nullable=False),
    Index("ix_drill_practice", "practice", "started_at"),
)
"""`drill` is the whole of it, as JSON."""

kit = Table(
    "kit",
    metadata,
    Column("practice", Text, primary_key=True),
    Column("run", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("expires", Instant, nullable=False),
    Column("inputs", Text, nullable=False),
    Column("places", Text, nullable=False),
)
"""The newest of each practice."""

# --- what is promised, accepted and to be put right ----------------------------------------------

promise = Table(
    "promise",
    metadata,
    Column("practice", Text, primary_key=True),
    # The order in which they were seen, whatever the clock said.
    Column("number", Integer, primary_key=True),
    Column("id", Text, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("promise", Text, nullable=False),
    UniqueConstraint("id"),
)
"""`promise` is the whole of it, as JSON."""

sign_off = Table(
    "sign_off",
    metadata,
    Column("id", Text, primary_key=True),
    Column("practice", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("sign_off", Text, nullable=False),
    Index("ix_sign_off_practice", "practice", "at"),
)
"""`sign_off` is the whole of it, as JSON."""

corrective_action = Table(
    "corrective_action",
    metadata,
    Column("id", Text, primary_key=True),
    Column("practice", Text, nullable=False),
    Column("system", Text, nullable=False),
    Column("repository", Text, nullable=False),
    Column("cause", Text, nullable=False),
    Column("test", Text, nullable=False),
    Column("what", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("opened_at", Instant, nullable=False),
    Column("due", Instant, nullable=False),
    Column("opened_by", Text, nullable=False),
    Column("closed_at", Instant),
    Column("closed_by", Text, nullable=False),
    Column("done", Text, nullable=False),
    Index("ix_corrective_action_practice", "practice", "opened_at"),
    Index(
        "ix_corrective_action_open",
        *("practice", "system", "repository", "cause"),
        unique=True,
        sqlite_where=text("closed_at IS NULL"),
        postgresql_where=text("closed_at IS NULL"),
    ),
)

verdict = Table(
    "verdict",
    metadata,
    Column("practice", Text, primary_key=True),
    Column("system", Text, primary_key=True),
    Column("objective", Text, primary_key=True),
    Column("repository", Text, primary_key=True),
    Column("verdict", Text, nullable=False),
)
"""The newest of each; what the plan asks for no more has none."""

# --- who can open it, and who has it -------------------------------------------------------------

kept_manifest = Table(
    "kept_manifest",
    metadata,
    Column("practice", Text, primary_key=True),
    Column("point", Text, primary_key=True),
    Column("manifest", Text, nullable=False),
)
"""Of points that no repository holds a manifest of, since others saved what they are made of."""

held_key = Table(
    "held_key",
    metadata,
    Column("practice", Text, primary_key=True),
    Column("repository", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("form", Text, nullable=False),
    Column("made_at", Instant, nullable=False),
    Column("made_by", Text, nullable=False),
    Column("revoked_at", Instant),
    Column("revoked_by", Text, nullable=False),
)

key_proof = Table(
    "key_proof",
    metadata,
    Column("practice", Text, primary_key=True),
    Column("holder", Text, primary_key=True),
    Column("repository", Text, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("by", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("opened", Boolean, nullable=False),
    Column("reason", Text, nullable=False),
)
"""The newest of each."""

retired_repository = Table(
    "retired_repository",
    metadata,
    Column("practice", Text, primary_key=True),
    Column("repository", Text, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("by", Text, nullable=False),
    Column("replaced_by", Text, nullable=False),
    Column("why", Text, nullable=False),
)

handed_over = Table(
    "handed_over",
    metadata,
    Column("practice", Text, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("by", Text, nullable=False),
    Column("to", Text, nullable=False),
    Column("why", Text, nullable=False),
)
"""The practices that another machine has now."""

# --- evidence ------------------------------------------------------------------------------------

evidence_chain = Table(
    "evidence_chain",
    metadata,
    Column("practice", Text, primary_key=True),
    Column("chain", Text, primary_key=True),
    Column("ours", Boolean, nullable=False),
    Index(
        "ix_evidence_chain_ours",
        "practice",
        unique=True,
        sqlite_where=text("ours"),
        postgresql_where=text("ours"),
    ),
)
"""All else that is said of a chain stands in its lines."""

evidence = Table(
    "evidence",
    metadata,
    Column("practice", Text, primary_key=True),
    Column("chain", Text, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("kind", Text, nullable=False),
    Column("line", Text, nullable=False),
    # In this order, so that lines of a kind come by their numbers, and `at` needs no line read.
    Index("ix_evidence_kind", "practice", "chain", "kind", "number", "at"),
)
"""`line` is the whole of it, and what hashes stand on; the rest is there to find it."""


written_by = Table("written_by", metadata, Column("version", Text, primary_key=True))
"""One row: the version of this program that made the tables what they are."""


def append_only(table: str, dialect: str) -> tuple[str, ...]:
    """Return what makes a database refuse to change or remove what is in a table.

    Not a defence against somebody who owns the file; it keeps a mistake of ours from being silent.
    """
    if dialect == "sqlite":
        return tuple(
            f"""CREATE TRIGGER {table}_no_{deed} BEFORE {deed.upper()} ON {table}
        BEGIN SELECT RAISE(ABORT, 'the {table} is append-only'); END"""
            for deed in ("update", "delete")
        )
    return (
        f"""CREATE FUNCTION {table}_append_only() RETURNS trigger LANGUAGE plpgsql AS
        $$BEGIN RAISE EXCEPTION 'the {table} is append-only'; END$$""",
        f"""CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}
        FOR EACH STATEMENT EXECUTE FUNCTION {table}_append_only()""",
    )


@event.listens_for(journal, "after_create")
@event.listens_for(evidence, "after_create")
def _guard(table: Table, connection: Connection, **_: Any) -> None:
    for statement in append_only(table.name, connection.dialect.name):
        connection.exec_driver_sql(statement)


def make_tables(connection: Connection) -> None:
    """Make all tables, as of the newest migration, where there are none yet."""
    metadata.create_all(connection, checkfirst=False)
    # As Alembic makes it, which goes on from here.
    connection.exec_driver_sql(
        "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, "
        "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
    )
    versions = table("alembic_version", column("version_num"))
    connection.execute(insert(versions).values(version_num=STORE_VERSION))
