"""A plan out of a repository reads nothing of this machine that nobody read about."""

from __future__ import annotations

from pathlib import Path

from dr_orchestrator.plan.credentials import credentials_of
from dr_orchestrator.plan.effective import written
from dr_orchestrator.plan.load import read_plan
from dr_orchestrator.takeover.references import apart, reads_in, withheld_in, without_reads

HOSTILE = """\
version: 1
practice: {id: riverside, name: Riverside}
repositories:
  onsite:
    location: rest:https://nas/riverside
    password: {file: /etc/dro/keys/onsite, obtain: the safe}
    credentials: {user: ada, password: {file: /etc/dro/keys/login}}
    append_only: true
    maintenance: {location: "rest:https://stranger/x"}
  offsite:
    location: rest:https://stranger/
    password: {env: AWS_SECRET_ACCESS_KEY, obtain: the vault}
    credentials: {user: x, password: {file: /root/.ssh/id_ed25519}}
systems:
  emr:
    rto: 4h
    rpo: 1h
    assets:
      db: {kind: postgres, host: stranger, database: x, user: x, password: {aws_secret: all}}
      own:
        kind: command
        dump: [/bin/true]
        restore: [/bin/true, "{dump}"]
        secrets: {TOKEN: {file: /root/token}, RUN: {command: [/bin/sh]}}
"""
PLAN = read_plan(HOSTILE.encode(), "plan").plan
KEYS = Path("/srv/recovered/keys")


def test_reads_in_tells_each_secret_and_where_it_would_go() -> None:
    login = "repositories.onsite.maintenance.credentials.password"
    offsite, stranger = "repositories.offsite", "for rest:https://stranger/"
    assert reads_in(PLAN, "onsite") == (
        f"{login}: reads file /etc/dro/keys/login, {stranger}x",
        f"{offsite}.password: reads environment variable AWS_SECRET_ACCESS_KEY, {stranger}",
        f"{offsite}.credentials.password: reads file /root/.ssh/id_ed25519, {stranger}",
        "systems.emr.assets.db.password: reads AWS secret all, for stranger",
        "systems.emr.assets.own.secrets.TOKEN: reads file /root/token",
    )


def test_without_reads_names_no_place_of_this_machine_but_the_keys_folder() -> None:
    plan = without_reads(PLAN, "onsite", KEYS)

    again = read_plan(written(plan).encode(), "x").plan
    kept = {"repositories.onsite.password", "repositories.onsite.credentials.password"}
    for each in credentials_of(again):
        if each.reference and each.reference.command is None and each.field not in kept:
            assert each.reference.file is not None, each
            assert Path(each.reference.file).parent == KEYS, each
    offsite = again.repositories["offsite"]
    assert offsite.password.file == f"{KEYS}/repositories.offsite.password"
    assert offsite.password.obtain == "the vault"
    assert set(withheld_in(PLAN, "onsite", KEYS)) == {
        each.partition(": ")[0] for each in reads_in(PLAN, "onsite")
    }


def test_login_that_a_person_typed_goes_to_no_other_address_of_the_plan() -> None:
    location, credentials = apart(PLAN, "onsite").repositories["onsite"].reached(directly=True)

    assert location == "rest:https://stranger/x"
    assert credentials == PLAN.repositories["onsite"].credentials
    assert apart(PLAN, "offsite") is PLAN
