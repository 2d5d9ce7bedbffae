"""Going on with a practice writes over nothing, and says what is left to do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dr_orchestrator.core.secret import Secret
from dr_orchestrator.errors import RepositoryUnreachable, SecretUnavailable, UsageMistake
from dr_orchestrator.plan.model import Plan
from dr_orchestrator.plan.secret_reference import SecretReference
from tests.support.evidence import PRACTICE
from tests.support.handed import Machine, giving, machine


@pytest.fixture(scope="module")
def handed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("giver")
    with giving(folder) as giver:
        giver.hand_over(folder / "handed")
    return folder / "handed"


@pytest.fixture
def taker(tmp_path: Path) -> Iterator[Machine]:
    with machine(tmp_path) as found:
        yield found


def test_plan_runbooks_key_and_record_are_here(taker: Machine, handed: Path) -> None:
    taken = taker.take_over(handed)

    plan = taker.plans / "riverside.yaml"
    assert (taken.loaded.path, taken.loaded.text) == (plan, taker.loaded.text)
    own = taker.plans / "runbooks" / PRACTICE / "emr-lost.yaml"
    assert taken.written == (own, plan)
    assert taker.state.files_key(PRACTICE) == (handed / "files.key").read_bytes()
    assert len(taker.store.practice_record(PRACTICE).sign_offs) == 1
    assert (taken.again, dict(taken.missing), dict(taken.retention)) == (False, {}, {"onsite": ""})


def test_again_does_what_was_left(taker: Machine, handed: Path) -> None:
    taker.take_over(handed)
    (taker.plans / "riverside.yaml").unlink()
    before = taker.store.journal()

    taken = taker.take_over(handed)

    assert taken.again
    assert taken.written == (taker.plans / "riverside.yaml",)
    assert taker.store.journal() == before


@pytest.mark.parametrize("name", ["riverside.yaml", "runbooks/riverside/emr-lost.yaml"])
def test_nothing_is_written_over(taker: Machine, handed: Path, name: str) -> None:
    file = taker.plans / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("mine")

    with pytest.raises(UsageMistake, match="another file lies at"):
        taker.take_over(handed)

    assert file.read_text() == "mine"
    assert taker.store.journal() == ()


def test_second_plan_of_the_practice_is_refused(taker: Machine, handed: Path) -> None:
    (taker.plans / "ours.yaml").write_text(taker.loaded.text)

    with pytest.raises(UsageMistake, match="is a plan of riverside"):
        taker.take_over(handed)

    assert taker.store.journal() == ()


def test_what_is_missing_is_said_and_stops_nothing(taker: Machine, handed: Path) -> None:
    def none(reference: SecretReference) -> Secret:
        raise SecretUnavailable(f"no secret from {reference}", hint="the vault")

    def away(_plan: Plan, _name: str) -> None:
        raise RepositoryUnreachable("it does not answer")

    taken = taker.take_over(handed, read_secret=none, take_retention=away)

    assert taken.retention == {"onsite": "it does not answer"}
    assert list(taken.missing) == ["repositories.onsite.password"]
    assert "the vault" in taken.missing["repositories.onsite.password"]
