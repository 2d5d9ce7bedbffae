from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dr_orchestrator import __version__
from dr_orchestrator.errors import PlanInvalid, UsageMistake
from dr_orchestrator.plan.effective import leaves, plan_data
from dr_orchestrator.plan.load import (
    LoadedPlan,
    effective_yaml,
    find_plan,
    find_plans,
    load_plan,
    origin_lines,
    read_plan,
)
from dr_orchestrator.plan.model import (
    Maintenance,
    Plan,
    ProtectedSystem,
    Retention,
    RunCheck,
    SqlCheck,
)
from dr_orchestrator.plan.problem import Problem

_ROOT = Path(__file__).parents[3]
_PLANS = sorted((_ROOT / "plans").glob("*.yaml"))
_LEAST = """\
version: 1
practice: {id: riverside, name: Riverside Family Practice}
repositories:
  onsite: {location: /srv/restic/riverside, password: {file: /etc/dro/keys/riverside}}
  offsite: {location: "s3:https://s3.example/dr", password: {env: KEY}}
systems:
  emr:
    rto: 4h
    rpo: 1h
    assets:
      database: {kind: sqlite, path: /srv/emr/emr.db}
      server: {kind: postgres, host: h, database: d, user: u}
      documents: {kind: files, path: /srv/emr/documents}
"""


def _system(*lines: str) -> str:
    """Return the least plan with more lines in its system."""
    return _LEAST + "".join(f"    {line}\n" for line in lines)


def _loaded(text: str) -> LoadedPlan:
    return read_plan(text.encode(), "plan.yaml")


def _problems(text: str) -> list[Problem]:
    with pytest.raises(PlanInvalid) as caught:
        _loaded(text)
    return list(caught.value.problems)  # type: ignore[arg-type]  # objects, to the errors' layer


def _only_problem(text: str, at: str) -> Problem:
    """Return the only problem of a plan, which must stand where `at` first does."""
    (problem,) = _problems(text)
    lines = text.splitlines()
    assert lines[problem.line - 1][problem.column - 1 :].startswith(at)
    return problem


def test_example_plans_are_valid() -> None:
    assert {path.name for path in _PLANS} == {"example.yaml", "lakeside.yaml", "least.yaml"}
    for path in _PLANS:
        load_plan(path)


def test_least_plan_gets_its_defaults() -> None:
    loaded = load_plan(_ROOT / "plans" / "least.yaml")

    system = loaded.plan.protected["emr"]
    (test,) = system.restore_tests
    assert str(loaded.plan.practice.timezone) == "UTC"
    assert system.title == "emr"
    assert (str(system.backup.schedule), system.backup.to) == ("every 30m", ("onsite",))
    assert (str(test.schedule), test.from_, test.point) == ("03:30", "onsite", "latest")
    assert (system.backup.catch_up, system.backup.grace) == ("latest", None)
    assert (test.catch_up, test.grace) == ("skip", timedelta(hours=4))
    assert loaded.plan.repositories["onsite"].maintenance == Maintenance()
    assert system.retention == Retention()
    assert test.prove_every == timedelta(days=2)
    assert [check.title for check in system.verify] == ["the data is what it was at capture"]


def test_each_further_repository_is_tested_weekly_unless_stated() -> None:
    loaded = _loaded(_system("backup: {schedule: every 15m, to: [offsite, onsite]}"))

    tests = loaded.plan.protected["emr"].restore_tests
    assert [(str(test.schedule), test.from_) for test in tests] == [
        ("03:30", "offsite"),
        ("Sun 04:00", "onsite"),
    ]
    assert tests[1].prove_every == timedelta(days=14)


def test_a_stated_test_is_from_the_first_repository_backed_up_to() -> None:
    loaded = _loaded(
        _system(
            "backup: {schedule: every 15m, to: [offsite]}", 'restore_tests: [{schedule: "03:30"}]'
        )
    )

    assert [test.from_ for test in loaded.plan.protected["emr"].restore_tests] == ["offsite"]


def test_times_of_queries_are_read_in_the_zone_of_the_practice_unless_stated() -> None:
    plan = load_plan(_ROOT / "plans" / "example.yaml").plan
    system = plan.protected["emr"]

    zones = {check.timezone for check in system.verify if isinstance(check, SqlCheck)}
    assert zones == {plan.practice.timezone}
    assert system.newest is not None
    assert system.newest.timezone == plan.practice.timezone


def _empty_texts(plan: Plan) -> list[str]:
    return [path for path, value in leaves(plan_data(plan)) if value in ("", None)]


@pytest.mark.parametrize("path", _PLANS, ids=lambda path: path.name)
def test_effective_plan_reads_back_to_an_equal_plan(path: Path) -> None:
    loaded = load_plan(path)

    text = effective_yaml(loaded)
    again = read_plan(text.encode(), "effective.yaml")

    assert again.plan == loaded.plan
    assert effective_yaml(again) == text
    assert _empty_texts(loaded.plan) == []
    assert all("default" not in origin for origin in again.origins.values())


@pytest.mark.parametrize(
    "name",
    ["yes", "No", "1:30", "03:30", "0123", "null", "~", "1e3", "- x", "# x", "a: b", '"', "ü"],
)
def test_effective_plan_keeps_text_that_looks_like_something_else(name: str) -> None:
    quoted = name.replace('"', '\\"')
    loaded = _loaded(_LEAST.replace("Riverside Family Practice", f'"{quoted}"'))

    assert loaded.plan.practice.name == name
    assert _loaded(effective_yaml(loaded)).plan == loaded.plan


@settings(max_examples=50)
@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn"]), min_size=1))
def test_effective_plan_keeps_any_text(name: str) -> None:
    loaded = _loaded(_LEAST)
    practice = loaded.plan.practice.model_copy(update={"name": name})
    plan = loaded.plan.model_copy(update={"practice": practice})
    changed = replace(loaded, plan=plan)

    assert _loaded(effective_yaml(changed)).plan.practice.name == name


def test_origins_tell_line_or_default_of_every_value() -> None:
    loaded = load_plan(_ROOT / "plans" / "least.yaml")

    origins = loaded.origins
    assert set(origins) == {path for path, _ in leaves(plan_data(loaded.plan))}
    assert origins["systems.emr.rto"] == "least.yaml:7"
    assert origins["repositories.onsite.password.file"] == "least.yaml:4"
    assert origins["systems.emr.backup.schedule"] == "default: every half RPO"
    assert (
        origins["systems.emr.restore_tests[0].prove_every"]
        == "default: twice the test's own interval"
    )
    assert origins["practice.timezone"] == "default: UTC"


def test_origin_of_opening_hours_is_their_line_whatever_their_shape() -> None:
    loaded = _loaded(
        _LEAST.replace("name: River", 'open: {mon: "08:00-12:00", tue: "08:00-12:00"}, name: River')
    )

    assert loaded.origins["practice.open.mon-tue"] == "plan.yaml:2"


def test_origin_lines_show_each_value_once() -> None:
    lines = list(origin_lines(load_plan(_ROOT / "plans" / "least.yaml")))

    assert any(re.fullmatch(r'systems\.emr\.rto: "4h" +# least\.yaml:7', line) for line in lines)


@pytest.mark.parametrize(
    ("text", "at", "message"),
    [
        (_system("max_data_age: 4h"), "4h", "has no effect"),
        (_system("depends_on: [nothing]"), "nothing", "no such system"),
        (_system("depends_on: [emr]"), "emr", "depends on itself"),
        (_system("newest: {asset: documents, sql: s}"), "documents", "is no database"),
        (_system("newest: {asset: databse, sql: s}"), "databse", "no such asset"),
        (
            _system("verify: [{title: a, files: {asset: database, at_least: 1}}]"),
            "database",
            "files",
        ),
        (_system("verify: [{title: a, files: {asset: documents}}]"), "{asset", "asks for nothing"),
        (_system("verify: [baseline, baseline]"), "baseline]", "another check has this title"),
        (
            _system(
                "verify:",
                "  - title: a",
                "    files:",
                "      asset: documents",
                "      listed_by: {asset: documents, sql: s}",
            ),
            "documents, sql",
            "is no database",
        ),
        (
            _system(
                "verify: [{title: a, files: {asset: documents, "
                "listed_by: {asset: database, sql: s, prefix: {/share: ../up}}}}]"
            ),
            "../up",
            "inside the asset",
        ),
        (_system("backup: {schedule: every 5m, to: [onsite, onsite]}"), "onsite]", "named twice"),
        (_system("backup: {schedule: every 5m, to: [nowhere]}"), "nowhere", "no such repository"),
        (
            _system('restore_tests: [{schedule: "03:30", from: offsite}]'),
            "offsite",
            "not backed up to it",
        ),
        (_system("verify: []"), "[]", "must not be empty"),
        (_system("backup: {to: [onsite]}"), "{to", "is missing"),
        (_system("runbook: X"), "X", "is not an id"),
        (_system("labels: x"), "labels", "not in this version yet"),
        (_LEAST + "  x: {protected_by: them, rto: 1h}\n", "rto", "has no effect"),
        (_LEAST + "  x: {not_protected: why, accepted_by: bob}\n", "bob", "no such contact"),
        (_LEAST.replace("host: h,", "host: h, method: physical,"), "physical", "must say so"),
        (_LEAST.replace("host: h,", "host: h, scope: cluster,"), "cluster", "takes one database"),
        (
            _LEAST.replace("host: h,", "host: h, method: physical, scope: database,"),
            "database, database",
            "takes the whole cluster",
        ),
        (_LEAST.replace("/srv/emr/emr.db", "emr.db"), "emr.db", "absolute path"),
        (
            _LEAST.replace("path: /srv/emr/documents", "path: /srv/restic"),
            "/srv/restic}",
            "lies inside it",
        ),
        (
            _LEAST.replace("path: /srv/emr/documents", "path: /srv/restic/riverside/data"),
            "/srv/restic/riverside/data",
            "lies inside repository",
        ),
        (
            _LEAST.replace("/emr/documents", "/emr/documents, marker: /srv/x"),
            "/srv/x}",
            "path inside the folder",
        ),
        (
            _LEAST.replace('"s3:https://s3.example/dr"', "/srv/restic//riverside/"),
            "/srv/restic//",
            "is where `onsite` is too",
        ),
        (
            _LEAST.replace("s3:https://s3.example", "rest:http://u:hunter2@host"),
            '"rest:',
            "has a password in it",
        ),
        (_LEAST.replace("{env: KEY}", "hunter2"), "hunter2", "never stands in a plan"),
        (_LEAST.replace("{env: KEY}", "12345678"), "12345678", "never stands in a plan"),
        (_LEAST.replace("{env: KEY}", "{env: KEY, file: /x}"), "{env", "names 2 places"),
        (_LEAST.replace("{env: KEY}", "{obtain: vault}"), "{obtain", "names no place"),
        (_LEAST.replace("{env: KEY}", "{keyring: x}"), "keyring", "not in this version yet"),
        (_LEAST.replace("{env: KEY}", "{env: KEY, key: x}"), "{env", "`key` has no effect"),
        (_LEAST.replace("{env: KEY}", "{aws_secret: x, file: /x}"), "{aws", "names 2 places"),
        (_LEAST.replace("{env: KEY}", "{command: pass show x}"), "pass", "must be a list"),
        (_LEAST.replace("kind: sqlite", "kind: sqllite"), "sqllite", "is no kind of asset"),
        (_LEAST.replace("kind: sqlite, ", ""), "{path", "is missing"),
        (_LEAST.replace("rto: 4h", "rto: 0s"), "0s", "more than zero"),
        (_LEAST.replace("rpo: 1h", 'rpo: "1"'), '"1"', "a number without its unit"),
        (_LEAST.replace("host: h,", 'host: h, port: "5432",'), '"5432"', "whole number"),
        (_LEAST.replace("host: h,", "host: h, port: 70000,"), "70000", "at most 65535"),
        (_LEAST.replace("host: h,", "host: h, port: true,"), "true", "whole number"),
        (_LEAST.replace("host: h,", "host: 7,"), "7", "must be text"),
        (_LEAST.replace("  emr:", "  EMR:"), "EMR", "is not an id"),
        (_LEAST.replace("version: 1\n", ""), "practice", "is missing"),
        ("[]", "[]", "must be a mapping"),
        ("just words", "just", "must be a mapping"),
    ],
)
def test_contradiction_is_one_problem_where_it_stands(text: str, at: str, message: str) -> None:
    problem = _only_problem(text, at)

    assert message in problem.message
    assert "hunter2" not in problem.text()
    assert "12345678" not in problem.text()


_ALWAYS = 'blackout: {mon-sat: "00:00-24:00", sun: "00:00-12:00,12:00-24:00"}'
_TEST = 'restore_tests: [{schedule: "03:30", '


def _maintenance(keys: str) -> str:
    """Return the least plan with the upkeep of its first repository."""
    return _LEAST.replace("/riverside}}", f"/riverside}}, maintenance: {{{keys}}}}}")


@pytest.mark.parametrize(
    ("text", "at", "message"),
    [
        (_system("backup: {schedule: every 5m, grace: 1h}"), "1h}", "has no effect"),
        (_system(f"{_TEST}catch_up: latest, grace: 1h}}]"), "1h}", "has no effect"),
        (_system(f"{_TEST}catch_up: newest}}]"), "newest", "must be one of skip, latest, all"),
        (_system(f"{_TEST}grace: 0s}}]"), "0s}", "more than zero"),
        (_system(f"{_TEST}{_ALWAYS}}}]"), "{mon-sat", "covers the whole week"),
        (_system(f"backup: {{schedule: every 5m, {_ALWAYS}}}"), "{mon-sat", "the whole week"),
        (_system(f"{_TEST}blackout: {{}}}}]"), "{}", "must not be empty"),
        (_maintenance(_ALWAYS), "{mon-sat", "covers the whole week"),
        (_maintenance("check: sometimes"), "sometimes", "is not a schedule"),
        (_maintenance("prune: false"), "false", "is not a schedule"),
        (_maintenance("check: never, read_all_every: 9d"), "9d", "has no effect"),
        (
            _maintenance("check: never, forget: never, prune: never, blackout: {sun: 10:00-12:00}"),
            "{sun",
            "has no effect",
        ),
        (_system("retention: {}"), "{}", "must not be empty"),
        (
            _system("retention: {keep_hourly: 0, keep_daily: 0, keep_monthly: 0, keep_yearly: 0}"),
            "{keep",
            "keeps nothing",
        ),
        (_system("retention: {keep_daily: -1}"), "-1", "at least 0"),
        (_LEAST + "report: {schedule: every 1h, folder: reports}\n", "reports}", "absolute path"),
        (_LEAST + "report: {schedule: every 1h}\n", "{schedule", "goes nowhere"),
        (
            _LEAST + "contacts: {manager: {role: boss}}\n"
            "report: {schedule: every 1h, mail: [manager]}\n",
            "manager]",
            "no e-mail address",
        ),
    ],
)
def test_contradiction_in_what_is_done_when_is_one_problem_where_it_stands(
    text: str, at: str, message: str
) -> None:
    assert message in _only_problem(text, at).message


def test_what_may_also_never_happen_says_so_in_its_hint() -> None:
    (problem,) = _problems(_maintenance("prune: seldom"))
    assert problem.hint.endswith("or never")


_COMMAND = "kind: command, dump: [/opt/emr/dump], restore: [/opt/emr/load, '{dump}']"
_RUN = "title: a, asset: new, run: [/opt/emr/count, '{folder}'], expect:"
_SMB = "kind: smb, host: h, share: scans, user: u, password: {env: KEY}"
_MARIADB = "kind: mariadb, host: h, database: d, user: u"
_DUMPS = "kind: files, path: /srv/dumps"
_JOB = "data_time: {newest: 'EMR_*.bak', max_age: 1h}"


_ONE_ASSET = "".join(
    line
    for line in _LEAST.splitlines(keepends=True)
    if "server:" not in line and "docu" not in line
)


def _asset(*keys: str) -> str:
    """Return the least plan with one more asset, whose keys these are."""
    return _LEAST + f"      new: {{{', '.join(keys)}}}\n"


def _run(asset: str, check: str) -> str:
    return _asset(asset) + f"    verify: [baseline, {{{check}}}]\n"


@pytest.mark.parametrize(
    ("text", "at", "message"),
    [
        (_asset(_MARIADB, "method: physical"), "physical", "takes the whole server, and must say"),
        (_asset(_MARIADB, "scope: cluster"), "cluster}", "takes one database"),
        (_asset(_MARIADB, "method: physical", "scope: cluster", "lab: x"), "x}", "has no effect"),
        (_asset(_MARIADB.replace(" h,", " /run/m.sock,"), "port: 3307"), "3307", "has no effect"),
        (_asset(_MARIADB.replace(" h,", " /run/mysqld/,")), "/run/mysqld/", "is a folder"),
        (_asset(_MARIADB.replace(" h,", " run/m.sock,")), "run/m.sock", "or an absolute path"),
        (_asset(_SMB.replace("scans", "scans/2026")), "scans/2026", "must not have slashes"),
        (_asset(_SMB.replace(" h,", " '\\\\h',")), "'\\\\h'", "must not have slashes"),
        (_asset(_SMB, "path: /2026"), "/2026", "a path inside the share"),
        (_asset(_SMB, "path: a/../../b"), "a/../", "a path inside the share"),
        (_asset(_SMB, "path: 'a\\b'"), "'a\\b'", "a path inside the share"),
        (_asset(_SMB.replace("user: u", "user: 'dom\\u'")), "'dom\\u'", "the domain in it"),
        (_asset(_SMB, "marker: ../x"), "../x", "a path inside the folder"),
        (_asset(_COMMAND.replace("/opt/emr/dump", "dump")), "dump]", "absolute path"),
        (_asset(_COMMAND.replace("/opt/emr/load", "load")), "load", "absolute path"),
        (_asset(_COMMAND, "output: tree"), "[/opt/emr/dump]", "does not name `{folder}`"),
        (_asset(_COMMAND.replace("dump]", "dump, '{folder}']")), "'{folder}'", "for nothing here"),
        (_asset(_COMMAND.replace("'{dump}'", "'{folder}'")), "[/opt/emr/load", "not name `{dump}`"),
        (_asset(_COMMAND, "ends_with: '(done'"), "'(done'", "no regular expression"),
        (
            _asset(
                _COMMAND.replace("dump]", "dump, '--to={folder}']"), "output: tree", "ends_with: x"
            ),
            "x}",
            "has no effect",
        ),
        (_asset(_COMMAND, "secrets: {a-b: {env: KEY}}"), "{env: KEY}}}", "name of a variable"),
        (_asset(_COMMAND, "secrets: {KEY: hunter2}"), "hunter2", "never stands in a plan"),
        (_asset("kind: command, dump: [/opt/emr/dump], lab: x"), "x}", "has no effect"),
        (_asset(_COMMAND, _JOB), "{newest", "has no effect"),
        (_asset(_COMMAND, "at_least: 5"), "5}", "a number without its unit"),
        (_asset(_DUMPS, "made_by: the vendor"), "the vendor", "needs `data_time`"),
        (_asset(_SMB, "made_by: the vendor"), "the vendor", "needs `data_time`"),
        (_asset(_COMMAND, "made_by: the vendor"), "the vendor", "needs `data_time`"),
        (_asset(_DUMPS, _JOB.replace("EMR", "/EMR")), "'/EMR", "a pattern of files"),
        (_asset(_DUMPS, _JOB.replace("EMR", "../EMR")), "'../EMR", "a pattern of files"),
        (_asset(_DUMPS, _JOB.replace("EMR", "[E]MR")), "'[E]MR", "a pattern of files"),
        (_asset(_DUMPS, _JOB.replace("EMR_*.bak", "a/**")), "'a/**'", "a pattern of files"),
        (_asset(_DUMPS, _JOB.replace("1h", "1h, settled: 1h")), "1h}}", "as long as `max_age`"),
        (_asset(_DUMPS, "data_time: {newest: x}"), "{newest", "is missing"),
        (_run(_COMMAND, f"{_RUN.replace('new', 'documents')} 1"), "documents", "not of kind comm"),
        (_run(_COMMAND, f"{_RUN} baseline"), "baseline}", "needs `at_capture`"),
        (_run(_COMMAND, f"{_RUN} 1, at_capture: [/x]"), "[/x]", "has no effect"),
        (_run(_COMMAND, f"{_RUN} baseline, at_capture: [x]"), "x]", "absolute path"),
        (
            _run(_COMMAND, f"{_RUN} baseline, at_capture: [/x, '{{dump}}']"),
            "'{dump}'",
            "for nothing here",
        ),
        (_run(_COMMAND, "title: a, asset: new, sql: s, expect: 1"), "new", "is no database"),
        (_run(_COMMAND, "title: a, files: {asset: new, at_least: 1}"), "new", "no folder of files"),
        (_run(_COMMAND, "pack: openemr, assets: {database: databse}"), "databse", "no such asset"),
        (_system("max_skew: 0s"), "0s", "more than zero"),
        (_ONE_ASSET + "    max_skew: 5m\n", "5m", "has no effect"),
    ],
)
def test_contradiction_of_a_new_kind_is_one_problem_where_it_stands(
    text: str, at: str, message: str
) -> None:
    problem = _only_problem(text, at)

    assert message in problem.message
    assert "hunter2" not in problem.text()


@pytest.mark.parametrize(
    ("keys", "checks"),
    [
        ((_MARIADB,), "{title: a, asset: new, sql: s, expect: baseline}"),
        ((_MARIADB.replace(" h,", " /run/m.sock,"), "method: physical", "scope: cluster"), ""),
        ((_MARIADB, "lab: bench"), ""),
        (
            (_SMB, "path: scans/2026", "marker: .here"),
            "{title: a, files: {asset: new, at_least: 1}}",
        ),
        ((_SMB, "made_by: the vendor", _JOB), ""),
        ((_DUMPS, "made_by: the vendor", _JOB.replace("1h", "1h, at_least: 2.5 GiB")), ""),
        ((_DUMPS, _JOB.replace("EMR", "**/daily/EMR")), ""),
        ((_COMMAND, "ends_with: '-- done\\s*', at_least: 1 MiB", "lab: bench"), f"{{{_RUN} 1}}"),
        ((_COMMAND, "secrets: {KEY: {file: /k}}"), f"{{{_RUN} baseline, at_capture: [/x, y]}}"),
        (("kind: command, dump: [/d, '{folder}'], output: tree", _JOB), "{pack: a}, {pack: b}"),
    ],
)
def test_effective_plan_of_a_new_kind_reads_back_to_an_equal_plan(
    keys: tuple[str, ...], checks: str
) -> None:
    verify = f"    verify: [baseline, {checks}]\n    max_skew: 5m\n"
    loaded = _loaded(_asset(*keys) + verify)

    again = read_plan(effective_yaml(loaded).encode(), "effective.yaml")

    assert again.plan == loaded.plan
    assert effective_yaml(again) == effective_yaml(loaded)
    assert not [line for line in again.origins.values() if "default" in line]


def test_effective_plan_keeps_when_and_how_late_everything_is_done() -> None:
    text = _system(
        "backup: {schedule: every 5m, catch_up: skip, blackout: {sat-sun: '00:00-24:00'}}",
        f"{_TEST}catch_up: all}}]",
        "retention: {keep_last: 3, keep_hourly: 0}",
    )
    text += "report: {schedule: Mon 07:00, folder: /srv/reports}\n"
    text = text.replace(
        "/riverside}}", "/riverside}, maintenance: {prune: never, blackout: {sun: '01:00-02:00'}}}"
    )
    loaded = _loaded(text)

    again = read_plan(effective_yaml(loaded).encode(), "effective.yaml")

    assert again.plan == loaded.plan
    assert effective_yaml(again) == effective_yaml(loaded)
    assert loaded.plan.protected["emr"].backup.grace == timedelta(hours=4)
    assert loaded.plan.protected["emr"].restore_tests[0].grace is None
    assert loaded.plan.repositories["onsite"].maintenance.prune == "never"


def test_newest_row_may_be_asked_of_mariadb() -> None:
    newest = "    newest: {asset: new, sql: s}\n    max_data_age: 4h\n"

    assert _loaded(_asset(_MARIADB) + newest).plan.protected["emr"].newest is not None


def test_newest_row_may_be_the_pack_s() -> None:
    _loaded(_system("max_data_age: 4h", "verify: [{pack: openemr}]"))


def test_times_that_a_program_prints_are_read_in_the_zone_of_the_practice() -> None:
    loaded = _loaded(_run(_COMMAND, f"{_RUN} {{newer_than: 4d}}"))

    check = loaded.plan.protected["emr"].verify[1]
    assert isinstance(check, RunCheck)
    assert check.timezone == loaded.plan.practice.timezone


def test_origin_of_what_a_pack_decides_says_so() -> None:
    origins = _loaded(_system("verify: [{pack: openemr}]")).origins

    assert origins["systems.emr.verify[0].title"] == "default: the pack's own title"
    assert origins["systems.emr.verify[0].assets"].startswith("default: the only asset")


def test_circle_of_dependencies_is_reported_once() -> None:
    systems = "".join(
        f"  {name}: {{rto: 1h, rpo: 1h, depends_on: [{other}],"
        f" assets: {{a: {{kind: sqlite, path: /{name}}}}}}}\n"
        for name, other in (("a", "b"), ("b", "c"), ("c", "a"), ("d", "a"))
    )

    (problem,) = _problems(_LEAST + systems)

    assert problem.path == "systems.c.depends_on[0]"
    assert problem.hint == "a -> b -> c -> a"


def test_hints_name_what_was_likely_meant() -> None:
    text = _LEAST.replace("host: h", "hots: h").replace("kind: files", "kind: flies")
    text += "    depends_on: [phnes]\n  phones: {protected_by: them}\n"

    assert [problem.hint for problem in _problems(text)] == [
        "did you mean `host`?",
        "did you mean `files`?",
        "did you mean `phones`?",
    ]


def test_unknown_key_names_the_known_ones_where_none_is_near() -> None:
    (problem,) = _problems(_LEAST.replace("{env: KEY}", "{env: KEY, zzz: 1}"))

    assert problem.hint == (
        f"dro {__version__} knows here: env, file, command, aws_secret, key, aws_profile, region, "
        "obtain"
    )


def test_version_of_the_format_that_only_a_newer_program_reads_says_which_one_this_is() -> None:
    (problem,) = _problems(_LEAST.replace("version: 1", "version: 2"))

    assert problem.message == "must be 1"
    assert problem.hint == f"this is dro {__version__}; a newer one may read another"


def _warnings(text: str) -> dict[str, str]:
    return {each.path: each.message for each in _loaded(text).warnings}


def test_warnings_say_what_is_allowed_and_likely_not_meant() -> None:
    text = _system(
        "recovery: [{step: x, by: msp, allow: 5h}]",
        "backup: {schedule: every 2h}",
        'restore_tests: [{schedule: "03:30", prove_every: 1h}]',
    )
    text += "contacts: {manager: {role: x}}\ncustody: [{holder: manger, form: x}]\n"

    assert _warnings(text) == {
        "custody": "no second holder of a key",
        "custody[0].holder": "is no contact of this plan",
        "practice": "no `timezone`: schedules are read in UTC",
        "repositories": "one repository only",
        "repositories.offsite": "nothing is backed up to it",
        "systems.emr.backup.schedule": "leaves longer without a backup than the RPO",
        "systems.emr.restore_tests[0].prove_every": "is shorter than the test's own interval",
        "systems.emr.rto": "the steps of `recovery` alone take that long",
    }


def test_warnings_say_what_cannot_be_kept_at_the_hours_stated() -> None:
    blackout = 'blackout: {fri-sat: "12:00-24:00", sun-mon: "00:00-12:00"}'
    backup = f"backup: {{schedule: every 30m, to: [onsite, offsite], {blackout}}}"
    slow = _maintenance("check: Sun 01:00, read_all_every: 6d")

    assert _warnings(_system(backup)).items() >= {
        ("systems.emr.backup.blackout", "leaves longer without a backup than the RPO"),
    }
    assert "systems.emr.backup.blackout" not in _warnings(
        _system(backup).replace("rpo: 1h", "rpo: 24h")
    )
    assert _warnings(slow).items() >= {
        (
            "repositories.onsite.maintenance.read_all_every",
            "is shorter than the interval of `check`",
        ),
    }


def test_warnings_say_what_somebody_else_s_job_cannot_keep() -> None:
    late = _asset(_DUMPS, "made_by: emr_vendr", _JOB.replace("1h", "26h"))
    late += "    max_skew: 5m\ncontacts: {emr_vendor: {role: x}}\n"
    unloaded = _asset("kind: command, dump: [/opt/emr/dump]")

    assert _warnings(late).items() >= {
        ("systems.emr.assets.new.made_by", "is no contact of this plan"),
        ("systems.emr.assets.new.data_time.max_age", "is longer than the RPO"),
        (
            "systems.emr.max_skew",
            "one of the assets is written by another job, at an instant of its own",
        ),
    }
    assert _warnings(unloaded)["systems.emr.assets.new.dump"].startswith("no `restore`")
    for text in (late, unloaded):
        assert _warnings(text)["systems.emr.rto"] == (
            "a test cannot time how long it takes to load new"
        )


def test_what_is_loaded_and_never_looked_at_is_a_warning() -> None:
    unasked = _asset("kind: command, dump: [/opt/emr/dump], restore: [/opt/emr/load, '{dump}']")
    asked = f"{unasked}    verify: [{{title: x, asset: new, run: [/opt/emr/ask], expect: 1}}]\n"

    assert "no `run` check" in _warnings(unasked)["systems.emr.assets.new.restore"]
    assert "systems.emr.assets.new.restore" not in _warnings(asked)


def test_checks_without_a_comparison_with_the_capture_are_a_warning() -> None:
    alone = _warnings(_system("verify: [{pack: openemr}]"))
    beside = _warnings(_system("verify: [{pack: openemr}, {title: all, baseline: true}]"))

    assert "no `baseline`" in alone["systems.emr.verify[0]"]
    assert "systems.emr.verify[0]" not in beside


def test_one_repository_only_is_a_warning() -> None:
    text = "\n".join(line for line in _LEAST.splitlines() if "offsite" not in line)

    assert _warnings(text)["repositories"] == "one repository only"


def test_complete_plan_has_no_warnings() -> None:
    assert load_plan(_ROOT / "plans" / "example.yaml").warnings == ()


def _written(folder: Path, text: str, name: str = "riverside.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_commands_run_only_from_a_file_that_others_cannot_write(tmp_path: Path) -> None:
    plan = _written(tmp_path, _LEAST.replace("{env: KEY}", "{command: [pass, show, x]}"))
    plan.chmod(0o666)

    with pytest.raises(PlanInvalid, match="others may write to it"):
        load_plan(plan)

    plan.chmod(0o644)
    assert load_plan(plan).commands_allowed
    assert not read_plan(plan.read_bytes(), "from a repository").commands_allowed


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            _run(_COMMAND, f"{_RUN} baseline, at_capture: [/x]"),
            ["assets.new.dump", "assets.new.restore", "verify[1].run", "verify[1].at_capture"],
        ),
        (
            _asset(_COMMAND, "secrets: {A: {command: [/bin/pass, a]}}"),
            ["assets.new.dump", "assets.new.restore", "assets.new.secrets.A.command"],
        ),
    ],
)
def test_programs_of_a_plan_that_others_can_write_are_refused(
    tmp_path: Path, text: str, expected: list[str]
) -> None:
    plan = _written(tmp_path, text)
    assert load_plan(plan).commands_allowed

    plan.chmod(0o664)
    with pytest.raises(PlanInvalid) as caught:
        load_plan(plan)

    problems: list[Problem] = list(caught.value.problems)  # type: ignore[arg-type]
    assert [each.path.removeprefix("systems.emr.") for each in problems] == expected
    assert {each.message for each in problems} == {
        "commands run only from a file that others cannot write: others may write to it"
    }


def test_key_inside_a_git_work_tree_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    key = tmp_path / "keys" / "riverside"
    plan = _written(tmp_path, _LEAST.replace("/etc/dro/keys/riverside", str(key)))

    with pytest.raises(PlanInvalid, match="lies in the git work tree"):
        load_plan(plan)

    # a plan out of a repository is read on another machine: nothing there says anything
    read_plan(plan.read_bytes(), "from a repository")


def test_sha256_is_of_the_bytes_in_the_file(tmp_path: Path) -> None:
    first = load_plan(_written(tmp_path, _LEAST))
    second = load_plan(_written(tmp_path, _LEAST + "# a word\n"))

    assert first.plan == second.plan
    assert first.sha256 != second.sha256
    assert first.text == _LEAST


def _make_folder(path: Path) -> None:
    path.mkdir()


def _make_loop(path: Path) -> None:
    path.symlink_to(path)


@pytest.mark.parametrize("make", [_make_folder, _make_loop, lambda _path: None])
def test_load_plan_refuses_what_cannot_be_read(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    path = tmp_path / "plan.yaml"
    make(path)

    with pytest.raises(PlanInvalid) as caught:
        load_plan(path)

    assert len(caught.value.problems) == 1


@given(st.binary(max_size=300))
def test_any_bytes_are_a_plan_or_invalid(content: bytes) -> None:
    with pytest.raises(PlanInvalid):
        read_plan(content, "plan.yaml")


_WORDS = st.sampled_from(
    [
        *("[]", "{}", "null", "7", "yes", "03:30", "x", "'x'", "[x]", "{x: y}", "*a", "&a b", "!t"),
        *("every 3m", "baseline", "onsite", "emr", "database", "/srv", "../x", "4h", "2026-11-21"),
        "{kind: files}",
    ]
)


@given(st.integers(0, 60), _WORDS)
def test_any_value_anywhere_in_a_plan_is_valid_or_invalid(where: int, word: str) -> None:
    text = (_ROOT / "plans" / "example.yaml").read_text()
    values = list(re.finditer(r"(?<=: )[^{}\[\],\n]+", text))
    value = values[where % len(values)]

    with contextlib.suppress(PlanInvalid):
        _loaded(text[: value.start()] + word + text[value.end() :])


def test_find_plan_takes_an_id_or_a_path(tmp_path: Path) -> None:
    plan = _written(tmp_path, _LEAST, "any-name.yml")
    _written(tmp_path, "practice: {id: lakeside}\n", "other.yaml")
    _written(tmp_path, "practice: [", "broken.yaml")
    _written(tmp_path, _LEAST, "riverside.yaml.bak")
    _written(tmp_path, _LEAST, ".hidden.yaml")

    assert [path.name for path in find_plans(tmp_path)] == [
        "any-name.yml",
        "broken.yaml",
        "other.yaml",
    ]
    assert find_plan("riverside", tmp_path) == plan
    assert find_plan("other.yaml", tmp_path) == Path("other.yaml")
    assert find_plan("./riverside", tmp_path) == Path("riverside")


def test_find_plan_never_guesses(tmp_path: Path) -> None:
    plan = _written(tmp_path, _LEAST)
    assert find_plan(None, tmp_path) == plan
    with pytest.raises(UsageMistake) as near:
        find_plan("riversdie", tmp_path)
    assert near.value.hint == "did you mean `riverside`?"

    _written(tmp_path, _LEAST, "copy.yaml")
    with pytest.raises(UsageMistake, match="2 plans have the practice id riverside"):
        find_plan("riverside", tmp_path)
    with pytest.raises(UsageMistake, match="which one is meant"):
        find_plan(None, tmp_path)


def test_find_plan_says_that_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(UsageMistake, match="there is no plan in"):
        find_plan(None, tmp_path)
    with pytest.raises(UsageMistake, match="cannot be read"):
        find_plans(tmp_path / "none")


def test_protected_systems_are_in_file_order() -> None:
    plan = load_plan(_ROOT / "plans" / "example.yaml").plan

    assert list(plan.protected) == ["emr", "directory", "billing", "imaging", "scheduling"]
    assert all(isinstance(system, ProtectedSystem) for system in plan.protected.values())
