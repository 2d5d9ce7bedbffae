"""Looking after a repository, as a person does it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.site import Site, make_small_practice, new_site


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with new_site() as site:
        make_small_practice(site)
        for _ in range(2):
            assert site.dro("backup", "riverside").code == 0
        yield site


def test_retention_shows_holds_and_lets_go(site: Site) -> None:
    older, newer = (each["id"] for each in site.dro("points", "--json").json["points"])

    shown = site.dro("retention", "show", "riverside", "--json")
    assert shown.code == 0, shown.said
    (onsite,) = shown.json["retention"]
    assert set(onsite["kept"]) == {older, newer}
    assert "the newest" in onsite["kept"][newer]
    assert (onsite["to_go"], onsite["suspicious"], onsite["frozen"]) == ([], [], None)
    assert onsite["owner"] is None

    hold = ("retention", "hold", "riverside", "--point", older, "--for", "90d", "--reason", "audit")
    assert site.dro(*hold).code == 0
    held = site.dro("retention", "apply", "riverside", "--dry-run", "--json").json["retention"][0]
    assert any("audit" in why for why in held["kept"][older])
    let_go = ("retention", "release", "riverside", "--point", older, "--reason", "it is over")
    assert site.dro(*let_go).code == 0

    applied = site.dro("retention", "apply", "riverside", "--json")
    assert applied.code == 0, applied.said
    assert applied.json["retention"][0]["kept"] == 2
    assert site.dro("retention", "show", "--json").json["retention"][0]["owner"]["ours"]


def test_repository_is_checked_and_pruned(site: Site) -> None:
    checked = site.dro("repository", "check", "riverside", "--json")
    assert checked.code == 0, checked.said
    (check,) = checked.json["checks"]
    assert (check["repository"], check["part"], check["parts"]) == ("onsite", 1, 30)
    pruned = site.dro("repository", "prune", "riverside", "--json")
    assert (pruned.code, pruned.json["pruned"][0]["outcome"]) == (0, "done")
    assert site.leftovers() == []
    assert site.restic("list", "locks", "--no-lock").strip() == ""


def test_a_machine_that_reads_the_points_back_forgets_nothing_unasked(site: Site) -> None:
    with new_site(repository=False) as other:
        other.plan.write_text(site.plan.read_text())
        assert other.dro("points", "rebuild", "riverside", "--repository", "onsite").code == 0
        refused = other.dro("retention", "apply", "riverside", "--json")
        assert (refused.code, "another installation" in refused.said) == (1, True)
        take = ("retention", "take", "riverside", "--repository", "onsite", "--reason", "new disk")
        assert other.dro(*take).code == 0

        frozen = other.dro("retention", "apply", "riverside")
        assert (frozen.code, "read back from the repository" in frozen.stdout) == (4, True)
        assert other.dro("repository", "prune", "riverside").code == 4
        status = other.dro("status", "riverside", "--json")
        findings = status.json["practices"][0]["findings"]
        (retention,) = (each for each in findings if each["objective"] == "retention")
        assert (retention["verdict"], status.code) == ("unproven", 4)

        release = ("retention", "release", "riverside", "--repository", "onsite", "--reason", "ok")
        assert other.dro(*release).code == 0
        assert other.dro(*release).code == 2
        assert other.dro("retention", "apply", "riverside").code == 0


def test_mistakes_are_told_as_such(site: Site) -> None:
    reason = ("--reason", "x")
    for words, hint in (
        (("retention", "release", *reason), "a repository is released, or a point"),
        (("repository", "check", "--part", "2"), "one of one repository"),
        (("prune",), "dro repository prune"),
    ):
        said = site.dro(*words)
        assert (said.code, hint in said.stderr) == (2, True), said.said
