"""Restore tests that bring back a share of the files each, with the real restic and sandbox."""

from __future__ import annotations

import contextlib
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from dr_orchestrator.app import App
from dr_orchestrator.clock import SystemClock
from dr_orchestrator.core.restore_test import RestoreTest
from dr_orchestrator.core.share import Share
from dr_orchestrator.core.verification import Result
from dr_orchestrator.restore.restore_test import RestoreTestRequest
from dr_orchestrator.settings import load_settings
from tests.support.restic import flip_a_byte, packs
from tests.support.site import Site, make_small_practice, new_site

_PARTS = 2
_SAMPLED = (
    "rpo: 1h\n    restore_tests: [{schedule: 'Sun 04:00', from: onsite, files: {sample: 50%}}]\n"
)
_ODD = (
    *(b"two words", b"new\nline", b"br[a]ck*et?s", b"back\\slash", b"-dash", b" blanks "),
    "ümläut".encode(),
)
_NO_TEXT = (b"latin-\xe4\xf6", b"cut-\xe2\x82")
_LARGE = 17 << 20
"""More than restic puts into one pack (16 MiB), so that packs hold nothing but this."""


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """Make a practice with a few hundred documents, some in folders, some of odd names."""
    with new_site() as site:
        make_small_practice(site, documents=200)
        letters = site.documents / "letters" / "2026"
        letters.mkdir(parents=True)
        for number in range(60):
            (letters / f"{number} ü.txt").write_text(f"{number} " * 50)
        for name in (*_ODD, *_NO_TEXT):
            (site.documents / os.fsdecode(name)).write_bytes(name * 20)
        (site.documents / "link").symlink_to("letters")
        (site.documents / "empty folder").mkdir()
        _large(site).write_bytes(random.Random(1).randbytes(_LARGE))
        site.plan.write_text(site.plan.read_text().replace("rpo: 1h\n", _SAMPLED))
        yield site
        assert site.leftovers() == []


def _large(site: Site) -> Path:
    """Return a file of the second share."""
    share = Share(2, _PARTS)
    names = (f"scan of many pages {number}.tiff" for number in range(100))
    return site.documents / next(name for name in names if share.holds(name.encode()))


@pytest.fixture(scope="module")
def app(site: Site) -> Iterator[App]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in site.environment.items():
            patch.setenv(name, value)
        app = App(load_settings(), SystemClock())
    with contextlib.closing(app):
        result = app.back_up(app.plans(("riverside",))[0], "emr")
        assert (result.point is not None, result.failures) == (True, ())
        yield app


def _prove(app: App) -> RestoreTest:
    plan = app.plans(("riverside",))[0].plan
    request = RestoreTestRequest(plan=plan, system="emr", repository="onsite", parts=_PARTS)
    return app.prove(request)[0]


def test_every_file_comes_back_once_in_as_many_tests_as_there_are_shares(
    site: Site, app: App
) -> None:
    documents = (each for each in site.documents.rglob("*") if each.is_file())
    names = [os.fsencode(each.relative_to(site.documents)) for each in documents]

    tests = [_prove(app) for _ in range(_PARTS)]

    assert [test.share for test in tests] == [Share(1, _PARTS), Share(2, _PARTS)]
    for test in tests:
        assert (test.result, test.reason) == (Result.PASSED, "")
        assert (test.rta_data_seconds, test.rta_service_seconds) == (None, None)
        # what is no UTF-8 comes back each time: a list cannot tell such a name
        here = sum(name.endswith(_NO_TEXT) or test.share.holds(name) for name in names)
        restored = f"documents: {here} of {len(names)} files restored, the others only listed"
        assert any(each.startswith(restored) for each in test.conditions)
        said = {each.title: each.actual for each in test.verifications}
        listing = f"{here} of {len(names)} restored, the others as the repository lists them"
        files_and_link = f"{len(names) + 1} of {len(names) + 1} equal"
        assert said[f"every file is there, in its size ({listing})"] == files_and_link
        assert "as the repository lists them" in str(said["scanned documents"])


def test_damage_is_found_by_the_test_of_its_share_and_by_no_other(site: Site, app: App) -> None:
    flip_a_byte(packs(site.repository)[0])

    of_others = _prove(app)
    ended = site.dro("test", "riverside", "--sample", "--json")

    assert (of_others.share, of_others.result) == (Share(1, _PARTS), Result.PASSED)
    assert "the others only listed: 50 % of the files (part 1 of 2)" in str(of_others.conditions)
    of_the_damaged = ended.json["tests"][0]
    assert (ended.code, of_the_damaged["result"]) == (1, "failed")
    assert (of_the_damaged["part"], of_the_damaged["parts"]) == (2, _PARTS)
