"""Two operations that must not be at work at the same time are not; what is refused says why."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from dr_orchestrator.app import App
from dr_orchestrator.clock import SystemClock
from dr_orchestrator.core.record import PointForgotten
from dr_orchestrator.core.run import Outcome
from dr_orchestrator.core.verification import Result
from dr_orchestrator.errors import Busy
from dr_orchestrator.plan.load import LoadedPlan
from dr_orchestrator.plan.model import Plan
from dr_orchestrator.repositories.restic import ResticRepository
from dr_orchestrator.restore.restore_test import RestoreTestRequest
from dr_orchestrator.settings import load_settings
from dr_orchestrator.store.base import point_key, reading_key, repository_key, system_key
from tests.support.site import Site, make_small_practice, new_site

AT_ONCE = timedelta()
SYSTEM = system_key("riverside", "emr")


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """Lend a practice that saves to two repositories, and has one point in both."""
    with new_site() as site:
        make_small_practice(site)
        second = f"  offsite: {{location: {site.folder}/offsite, password: {{file: {site.key}}}}}\n"
        to = "    backup: {schedule: every 30m, to: [onsite, offsite]}\n"
        text = site.plan.read_text().replace("systems:\n", f"{second}systems:\n")
        site.plan.write_text(text.replace("rpo: 1h\n", f"rpo: 1h\n{to}"))
        with (site.folder / "dro.yaml").open("a") as settings:
            settings.write("lock_wait: 1s\n")
        assert site.dro("backup", "riverside").code == 0
        yield site
        assert site.leftovers() == []


@pytest.fixture
def app(site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    for name, value in site.environment.items():
        monkeypatch.setenv(name, value)
    with contextlib.closing(App(load_settings(), SystemClock())) as made:
        yield made


@pytest.fixture
def loaded(app: App) -> LoadedPlan:
    return app.plans(("riverside",))[0]


def _repository(app: App, name: str) -> str:
    restic_id = app.store.repository_id("riverside", name)
    assert restic_id is not None
    return repository_key(restic_id)


def _newest(app: App) -> str:
    return app.store.points("riverside")[-1].id


def _alone(app: App, key: str) -> contextlib.AbstractContextManager[None]:
    return app.store.locks.hold([key], exclusive=True, wait=AT_ONCE, what="it")


def _is_free(app: App, key: str) -> bool:
    try:
        with _alone(app, key):
            return True
    except Busy:
        return False


def _looking(app: App, *keys: str) -> tuple[dict[str, set[bool]], Callable[..., None]]:
    """Return what was free while something was under way, and what looks at it."""
    seen: dict[str, set[bool]] = {key: set() for key in keys}

    def look(*_: Any) -> None:
        for key in keys:
            seen[key].add(_is_free(app, key))

    return seen, look


def _proof(loaded: LoadedPlan, point: str = "latest") -> RestoreTestRequest:
    return RestoreTestRequest(plan=loaded.plan, system="emr", repository="onsite", point=point)


def test_backup_holds_its_system_and_shares_its_repositories(app: App, loaded: LoadedPlan) -> None:
    keys = (SYSTEM, _repository(app, "onsite"), _repository(app, "offsite"))
    seen, look = _looking(app, *keys)
    with app.store.locks.hold(keys[1:], exclusive=False, wait=AT_ONCE, what="it"):
        assert app.back_up(loaded, "emr", on_progress=look).outcome is Outcome.DONE

    assert seen == {key: {False} for key in keys}
    assert all(_is_free(app, key) for key in keys)


def _runs(app: App) -> int:
    return sum(1 for line in app.store.journal() if line.kind == "run_opened")


def test_backup_of_a_system_that_is_in_use_is_refused_without_a_run(site: Site, app: App) -> None:
    before = _runs(app)
    with _alone(app, SYSTEM):
        ended = site.dro("backup", "riverside", "--json")

    assert ended.code == 75
    assert "system emr of riverside has been in use since" in ended.said
    assert _runs(app) == before


def test_backup_goes_on_where_one_repository_is_in_use(app: App, loaded: LoadedPlan) -> None:
    with _alone(app, _repository(app, "onsite")):
        result = app.back_up(loaded, "emr")

    (failure,) = result.failures
    assert (result.outcome, failure.repository, failure.busy) == (Outcome.PARTIAL, "onsite", True)
    assert "repository onsite has been in use since" in failure.reason
    assert result.point is not None
    assert [copy.repository for copy in result.point.copies] == ["offsite"]


def test_backup_is_busy_where_every_repository_is(app: App, loaded: LoadedPlan) -> None:
    with (
        _alone(app, _repository(app, "onsite")),
        _alone(app, _repository(app, "offsite")),
        pytest.raises(Busy),
    ):
        app.back_up(loaded, "emr")


def test_restore_test_holds_its_point_and_never_waits_for_a_repository(
    app: App, loaded: LoadedPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.back_up(loaded, "emr")
    point = point_key("riverside", _newest(app))
    unread = reading_key(_repository(app, "onsite").partition("/")[2])
    seen, look = _looking(app, point, unread)
    plain = app.repositories.open_for_reading

    def open_for_reading(plan: Plan, name: str) -> ResticRepository:
        look()
        return plain(plan, name)

    monkeypatch.setattr(app.repositories, "open_for_reading", open_for_reading)
    with _alone(app, _repository(app, "onsite")), _alone(app, SYSTEM):
        (test,) = app.prove(_proof(loaded))

    assert test.result is Result.PASSED
    assert seen == {point: {False}, unread: {False}}
    assert _is_free(app, point)
    assert _is_free(app, unread)


def test_restore_and_test_of_a_point_that_is_being_forgotten_are_refused(
    site: Site, app: App
) -> None:
    before = _runs(app)
    with _alone(app, point_key("riverside", _newest(app))):
        test = site.dro("test", "riverside", "--system", "emr", "--repository", "onsite")
        restore = site.dro("restore", "riverside", "--to", f"{site.folder}/back")

    assert (test.code, restore.code) == (75, 75)
    for ended in (test, restore):
        assert f"recovery point {_newest(app)} has been in use since" in ended.said
    assert _runs(app) == before


def test_restore_test_takes_another_point_when_the_latest_is_forgotten_first(
    app: App, loaded: LoadedPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    older, forgotten = app.store.points("riverside", repository="onsite")[-2:]
    plain = app.store.locks.hold

    def hold(keys: Any, **how: Any) -> Any:
        if keys == {point_key("riverside", forgotten.id)}:
            entry = PointForgotten(
                practice="riverside",
                point=forgotten.id,
                repository="onsite",
                at=app.clock.now(),
                why="retention",
            )
            app.store.record(entry)
        return plain(keys, **how)

    monkeypatch.setattr(app.store.locks, "hold", hold)
    (test,) = app.prove(_proof(loaded))

    assert (test.point, test.result) == (older.id, Result.PASSED)


def test_repository_that_is_reached_two_ways_is_no_second_copy(site: Site, app: App) -> None:
    link = site.folder / "link"
    link.symlink_to(site.repository)
    plan = site.plan.read_text()
    try:
        text = plan.replace(f"location: {site.folder}/offsite", f"location: {link}")
        site.plan.write_text(text.replace("offsite", "third"))
        backup = site.dro("backup", "riverside")
    finally:
        site.plan.write_text(plan)
        link.unlink()
    assert backup.code == 3
    assert "third and onsite are one repository" in backup.said
    assert [copy.repository for copy in app.store.points("riverside")[-1].copies] == ["onsite"]
