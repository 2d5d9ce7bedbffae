from __future__ import annotations

from pathlib import Path

import pytest

from dr_orchestrator.errors import RunbookInvalid, UsageMistake
from dr_orchestrator.plan.load import LoadedPlan, load_plan, read_plan
from dr_orchestrator.runbook.shelf import (
    Shelf,
    blanks_on,
    files_to_keep,
    plan_problems,
    saved_shelf,
    shelf_of,
    shipped_folder,
)

_ROOT = Path(__file__).parents[3]
_LEAST = (_ROOT / "plans" / "least.yaml").read_text()
_RUNBOOK = """\
version: 1
title: TITLE
when: it is gone
lanes: {it: {title: IT}}
steps:
  - {id: look, lane: it, kind: manual, do: look}
"""


class Practice:
    """A folder as an engineer keeps it: `plans/`, and `runbooks/` beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.write("plans/riverside.yaml", _LEAST)

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o644)
        return path

    def runbook(self, name: str, title: str = "ours") -> Path:
        return self.write(f"runbooks/{name}", _RUNBOOK.replace("TITLE", title))

    @property
    def loaded(self) -> LoadedPlan:
        return load_plan(self.folder / "plans" / "riverside.yaml")

    @property
    def shelf(self) -> Shelf:
        return shelf_of(self.loaded)


@pytest.fixture
def practice(tmp_path: Path) -> Practice:
    return Practice(tmp_path)


def test_shipped_folder_of_a_checkout_is_where_people_look_for_runbooks() -> None:
    assert shipped_folder() == _ROOT / "runbooks"


def test_shelf_has_what_we_ship_where_a_practice_has_nothing(practice: Practice) -> None:
    shelf = practice.shelf
    shipped = {each.stem for each in shipped_folder().glob("*.yaml")}
    assert set(shelf.runbooks) == shipped >= {"triage", "downtime", "emr-server-lost"}
    assert (shelf.problems, plan_problems(practice.loaded, shelf)) == ((), ())
    assert shelf.named("triage").trusted


def test_file_of_the_practice_goes_before_one_beside_and_that_before_ours(
    practice: Practice,
) -> None:
    practice.runbook("triage.yaml", "beside")
    practice.runbook("downtime.yaml", "beside")
    practice.runbook("riverside/triage.yml", "own")
    practice.runbook("lakeside/triage.yaml", "another's")
    shelf = practice.shelf
    assert shelf.named("triage").runbook.title == "own"
    assert shelf.named("downtime").runbook.title == "beside"
    assert shelf.named("emr-server-lost").origin == str(shipped_folder() / "emr-server-lost.yaml")


def test_runbooks_in_the_folder_of_the_plan_go_before_those_beside_it(practice: Practice) -> None:
    practice.runbook("triage.yaml", "beside the folder")
    practice.write("plans/runbooks/triage.yaml", _RUNBOOK.replace("TITLE", "beside the plan"))
    assert practice.shelf.named("triage").runbook.title == "beside the plan"


def test_plan_out_of_a_repository_has_what_we_ship_only(
    practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    practice.runbook("evil.yaml")
    monkeypatch.chdir(practice.folder / "plans")
    shelf = shelf_of(read_plan(_LEAST.encode(), "plan.yaml"))
    assert "evil" not in shelf.runbooks


def test_named_says_what_was_probably_meant(practice: Practice) -> None:
    with pytest.raises(UsageMistake) as caught:
        practice.shelf.named("ransom-ware")
    assert caught.value.hint == "did you mean `ransomware`?"


def test_runbook_with_mistakes_keeps_nobody_from_following_another(practice: Practice) -> None:
    path = practice.write("runbooks/emr-server-lost.yaml", "version: 2\n")
    shelf = practice.shelf
    assert {each.file for each in shelf.problems} == {str(path)}
    assert shelf.named("triage").runbook.about == "practice"
    with pytest.raises(RunbookInvalid, match=r"emr-server-lost\.yaml:1:10: version: must be 1"):
        shelf.named("emr-server-lost")  # not the one we ship: nobody meant that


def test_runbook_that_does_not_fit_is_shown_and_not_handed_out(practice: Practice) -> None:
    text = _RUNBOOK.replace("do: look", 'do: "call {{ contacts.nobody.phone }}"')
    practice.write("runbooks/lost.yaml", text)
    shelf = practice.shelf
    with pytest.raises(RunbookInvalid, match=r"there is no value `contacts\.nobody\.phone`"):
        shelf.named("lost")
    assert "lost" in shelf.runbooks


def test_two_files_of_one_name_in_one_folder_are_a_problem(practice: Practice) -> None:
    practice.runbook("lost.yaml")
    second = practice.runbook("lost.yml")
    (problem,) = practice.shelf.problems
    assert (problem.file, problem.message) == (str(second), "lost.yaml has the same name")


def test_plan_that_names_a_runbook_there_is_not_is_told_where_it_does(practice: Practice) -> None:
    practice.write(
        "plans/riverside.yaml", _LEAST.replace("rpo: 1h", "rpo: 1h\n    runbook: tirage")
    )
    (problem,) = plan_problems(practice.loaded, practice.shelf)
    assert (problem.line, problem.column, problem.path) == (9, 14, "systems.emr.runbook")
    assert problem.message == "there is no runbook `tirage`"
    assert problem.hint == "did you mean `triage`?"


def test_plan_whose_runbook_is_not_valid_is_told_too(practice: Practice) -> None:
    path = practice.write("runbooks/emr-server-lost.yaml", "version: 2\n")
    (problem,) = plan_problems(practice.loaded, practice.shelf)
    assert problem.file == str(practice.folder / "plans" / "riverside.yaml")
    assert problem.message == f"the runbook {path} is not valid"


def test_blanks_on_a_shelf_are_those_of_all_runbooks_once(practice: Practice) -> None:
    blanks = blanks_on(practice.shelf, practice.loaded.plan)
    assert "contacts.insurer" in blanks
    assert list(blanks) == sorted(set(blanks))


# --- in an incident -------------------------------------------------------------------------------


def test_incident_follows_ours_in_place_of_one_that_is_not_valid(practice: Practice) -> None:
    path = practice.write("runbooks/triage.yaml", "version: 2\n")
    loaded, (said,) = practice.shelf.for_incident("triage")
    assert loaded.origin == str(shipped_folder() / "triage.yaml")
    assert loaded.trusted
    assert said.startswith(f"{path} has a mistake in line 1 (")
    assert said.endswith("the runbook triage that we ship is followed instead")


def test_incident_follows_what_does_not_fit_and_says_what_is_wrong_first(
    practice: Practice,
) -> None:
    practice.runbook("fits.yaml")
    asks = " ".join(f"{{{{ contacts.c{number}.phone }}}}" for number in range(5))
    path = practice.runbook("asks.yaml")
    path.write_text(path.read_text().replace("do: look", f'do: "{asks}"'))
    loaded, said = practice.shelf.for_incident("asks")
    assert loaded.runbook.title == "ours"
    assert "does not fit the plan" in said[0]
    assert said[1] == "line 6: there is no value `contacts.c0.phone`"
    assert (len(said), said[-1]) == (5, "and 2 more")
    assert practice.shelf.for_incident("fits")[1] == ()


def test_incident_follows_nothing_that_is_invalid_or_is_not_there(practice: Practice) -> None:
    practice.write("runbooks/own.yaml", "version: 2\n")
    with pytest.raises(RunbookInvalid):
        practice.shelf.for_incident("own")
    with pytest.raises(UsageMistake, match="there is no runbook tirage"):
        practice.shelf.for_incident("tirage")


# --- what is saved with a point -------------------------------------------------------------------


def test_files_to_keep_are_those_a_responder_would_follow_and_texts(practice: Practice) -> None:
    practice.runbook("triage.yaml", "beside")
    practice.runbook("riverside/triage.yaml", "own")
    practice.runbook("lakeside/secret.yaml", "another's")
    practice.write("runbooks/broken.yaml", "version: 2\n")
    practice.write("runbooks/who-to-call.md", "call")
    practice.write("runbooks/.draft.yaml", "x")
    kept = files_to_keep(practice.loaded)
    shipped = {each.name for each in shipped_folder().glob("*.yaml")}
    assert set(kept) >= shipped | {"broken.yaml", "who-to-call.md"}
    assert not {"secret.yaml", "README.md", ".draft.yaml"} & set(kept)
    assert b"own" in kept["triage.yaml"]


def test_file_that_cannot_be_read_stops_no_backup(practice: Practice) -> None:
    (practice.folder / "runbooks" / "loop.yaml").parent.mkdir()
    (practice.folder / "runbooks" / "loop.yaml").symlink_to("loop.yaml")
    (practice.folder / "runbooks" / "folder.yaml").mkdir()
    assert "triage.yaml" in files_to_keep(practice.loaded)
    assert {each.message for each in practice.shelf.problems} == {
        "cannot be read: too many levels of symbolic links",
        "is a folder, not a file",
    }


def test_what_was_saved_reads_back_and_is_not_trusted(practice: Practice) -> None:
    practice.runbook("triage.yaml", "ours")
    kept = files_to_keep(practice.loaded)
    shelf = saved_shelf(kept, practice.loaded.plan, Path("onsite/p1/runbooks"))
    assert set(shelf.runbooks) == set(practice.shelf.runbooks)
    assert shelf.named("triage").runbook.title == "ours"
    assert not [each for each in shelf.runbooks.values() if each.trusted]


def test_saved_file_of_the_practice_goes_before_one_of_all(practice: Practice) -> None:
    own, beside = (_RUNBOOK.replace("TITLE", title).encode() for title in ("own", "beside"))
    saved = {"a-practice/zeta.yaml": own, "zeta.yaml": beside, "x.yaml": b"no: runbook"}
    shelf = saved_shelf(saved, practice.loaded.plan, Path("onsite/p1"))
    assert shelf.named("zeta").runbook.title == "own"
    with pytest.raises(RunbookInvalid):
        shelf.named("x")
