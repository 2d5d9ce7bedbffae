from __future__ import annotations

from datetime import timedelta

import pytest

from dr_orchestrator.core.wording import size_words
from dr_orchestrator.runbook.kit.page import KitPage, SystemRow, kit_page
from dr_orchestrator.runbook.kit.steps import Called, Reference, Sheet, dialled
from dr_orchestrator.runbook.load import read_runbook
from tests.support.evidence import make_test
from tests.support.kits import MADE, PLAN, POINT, make_input, manifest_of, plan_of

_RUNBOOK = """\
version: 1
title: It is gone
when: it does not answer
lanes: {it: {title: IT, contact: "it?"}}
steps:
  - {id: look, lane: it, kind: check, do: Look., expect: Light., if_not: {say: Dark., go_to: wipe}}
  - id: which
    lane: it
    kind: decide
    do: Which?
    decide: [{answer: this}, {answer: that, go_to: wipe}, {answer: other, runbook: lost}]
  - {id: pause, lane: it, kind: command, do: Pause., command: [dro, pause, "{{ practice.id }}"]}
  - id: wipe
    lane: it
    kind: manual
    do: "Wipe {{ run.folder }} for {{ point.id }}."
    destructive: true
    two_persons: true
    undo: none
    contacts: [manager, "insurer?"]
  - {id: back, lane: it, kind: restore, do: Restore., restore: {systems: [this]}}
"""


def page(**changes: object) -> KitPage:
    return kit_page(make_input(**changes), has_pdf=True)


def sheet() -> Sheet:
    lost = read_runbook(_RUNBOOK.encode(), "lost", "lost.yaml")
    made = page(runbooks={"lost": lost})
    return next(each for each in made.sheets if each.about == "Electronic medical record")


def system(made: KitPage, name: str) -> SystemRow:
    return next(each for each in made.systems if each.id == name)


def test_page_says_until_when_it_is_current_and_where_a_newer_one_is() -> None:
    made = page()
    assert (made.made, made.expires) == ("21 November 2026", "21 December 2026")
    assert made.newer == "the folder /srv/kits/riverside; the newest e-mail to: practice manager"


def test_page_leaves_blanks_for_contacts_that_runbooks_ask_for() -> None:
    rows = {each.role: each for each in page().contacts}
    assert rows["practice manager (manager)"].phone == "+1 555 0100"
    assert (rows["insurer"].phone, rows["insurer"].email) == ("", "")


def test_page_lists_systems_in_recovery_order_with_the_disk_they_take() -> None:
    made = page()
    assert [each.id for each in made.systems] == ["directory", "emr"]
    size = sum(each.bytes for each in POINT.assets.values())
    assert system(made, "emr").space == size_words(2 * size)
    assert (system(made, "directory").space, system(made, "directory").points) == ("", ())
    assert made.elsewhere == (("Telephones", "ask whoever protects it: telephone vendor"),)


def test_page_says_of_each_point_when_it_was_proven() -> None:
    very, before = (
        make_test(MADE, point=POINT.id),
        make_test(MADE - timedelta(days=3), repository="offsite"),
    )
    onsite, offsite = system(page(tests=(very, before)), "emr").points
    assert onsite.proven == "proven by a restore test on 21 November 2026"
    assert offsite.proven == "one before it was proven by a restore test on 18 November 2026"
    assert system(page(), "emr").points[0].proven == "no restore from there was proven yet"


@pytest.mark.parametrize(
    ("server", "package"),
    [
        ({"major": "15", "version": "15.8"}, "postgresql-15"),
        ({}, "postgresql"),
        ({"major": "15; reboot", "version": "$(reboot)"}, "postgresql"),
    ],
)
def test_page_names_server_packages_by_what_manifests_say(
    server: dict[str, str], package: str
) -> None:
    made = page(manifests={POINT.id: manifest_of(server)})
    assert made.install == f"sudo apt install restic python3 sqlite3 {package}"
    assert "reboot" not in str(made.packages)


def test_page_says_which_repository_was_not_looked_into() -> None:
    assert page(unread={"offsite": "it did not answer"}).unread == ("offsite: it did not answer",)


def test_page_shows_no_sign_that_moves_the_text() -> None:
    loaded = plan_of(PLAN.replace("role: practice manager", 'role: "a\\u202eb\\nc"'))
    assert page(loaded=loaded).contacts[0].role == "a\N{REPLACEMENT CHARACTER}b c (manager)"


def test_sheet_has_the_values_of_its_system_and_blanks_for_what_nobody_knows_yet() -> None:
    found = sheet()
    assert (found.title, found.when) == ("It is gone", "it does not answer")
    assert found.lanes == (Called(text="IT: it ____________"),)
    assert found.steps[3].do == f"Wipe ____________ for {POINT.id}."
    assert found.steps[3].contacts == (
        Called(text="practice manager, +1 555 0100", dial="+15550100"),
        Called(text="insurer ____________"),
    )
    assert len(found.steps[3].warnings) == 2


def test_sheet_says_branches_as_numbers_of_steps() -> None:
    look, which, *_ = sheet().steps
    assert look.if_not == "Dark. Go to step 4."
    assert which.answers == (
        Reference(text="this → step 3"),
        Reference(text="that → step 4"),
        Reference(text="other → runbook “It is gone”", file="runbooks/lost.emr.html"),
    )


def test_sheet_says_what_to_do_without_our_program() -> None:
    _, _, pause, _, back = sheet().steps
    assert pause.command == "dro pause riverside"
    assert "Only where the backup machine still runs" in pause.without_us
    assert back.without_us == "With the kit: Electronic medical record."
    assert back.parts == ("back", "use")


@pytest.mark.parametrize(
    ("phone", "dialled_as"),
    [("+1 (555) 010-0199", "+15550100199"), ("555 0199 ext. 4", ""), (None, "")],
)
def test_dialled_is_a_number_and_never_what_a_person_has_to_read(
    phone: str | None, dialled_as: str
) -> None:
    assert dialled(phone) == dialled_as


def test_page_says_how_each_part_is_put_to_use_in_the_words_of_the_script() -> None:
    (database, documents) = system(page(), "emr").uses
    typed = [each.text for each in database.lines if each.is_command]
    assert typed[0].endswith(
        "/psql --no-psqlrc --host=HOST --username=postgres --dbname=postgres "
        "--file=database/globals.sql"
    )
    assert typed[1].startswith("/usr/lib/postgresql/15/bin/pg_restore --exit-on-error")
    assert typed[1].endswith(" database/database.pgdump")
    assert documents.lines[-1].text == "python3 dro-kit.py restore emr --to NEW-FOLDER"


def test_page_needs_no_point_at_all() -> None:
    made = page(points=(), manifests={})
    assert all(not each.points for each in made.systems)
    assert made.space == "0 B"
