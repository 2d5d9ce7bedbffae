from __future__ import annotations

import os
import re
import shlex
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dr_orchestrator.runbook.kit.commands import restore_ps1, restore_sh
from tests.support.evidence import full_id
from tests.support.kits import POINT, make_input, plan_of

_QUOTES = "'\u2018\u2019\u201a\u201b"
_HARD = st.text(f'{_QUOTES}"`$\\{{}}();&|#! a', min_size=1, max_size=20)
_ANY = _HARD | st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=20)


def script_with(location: str) -> tuple[str, str]:
    loaded = plan_of()
    repositories = dict(loaded.plan.repositories)
    onsite = repositories["onsite"]
    password = onsite.password.model_copy(update={"obtain": location})
    changed = {"location": location, "password": password}
    repositories["onsite"] = onsite.model_copy(update=changed)
    plan = loaded.plan.model_copy(update={"repositories": repositories})
    made = make_input(loaded=replace(loaded, plan=plan))
    return restore_sh(made).decode(), restore_ps1(made).decode()


@settings(max_examples=30, deadline=None)
@given(_ANY)
def test_location_is_one_word_of_the_shell_whatever_is_in_it(text: str) -> None:
    script, _ = script_with(f"/{text}")
    (line,) = (
        each
        for each in script.split("\n")
        if each.startswith(("    location=/", "    location='/"))
    )
    assert shlex.split(line.strip()) == [f"location=/{text}"]


@settings(max_examples=30, deadline=None)
@given(_ANY)
def test_location_is_one_text_of_powershell_whatever_is_in_it(text: str) -> None:
    _, script = script_with(f"/{text}")
    marker = "if ($env:KIT_LOCATION) { $env:KIT_LOCATION } else { '/"
    rest = script[script.index(marker) + len(marker) :]
    end = re.compile(f"(?:[^{_QUOTES}]|([{_QUOTES}])\\1)*").match(rest)
    assert end is not None
    quoted = end[0]
    assert re.sub(f"([{_QUOTES}])\\1", r"\1", quoted) == text
    assert rest[len(quoted) :].startswith("' }\r\n")


def test_scripts_restore_each_asset_and_the_manifest_by_full_ids() -> None:
    shell, powershell = restore_sh(make_input()).decode(), restore_ps1(make_input()).decode()
    for repository in ("onsite", "offsite"):
        for asset in ("database", "documents"):
            snapshot = full_id(POINT.id, repository, asset)
            assert f'bring_back {snapshot} "$target/"{asset}' in shell
            assert f"Restore-Snapshot '{snapshot}' (Join-Path $Target '{asset}')" in powershell
        assert full_id(POINT.id, repository, "manifest") in shell


@pytest.mark.parametrize(
    ("repository", "moved", "used"),
    [
        ("server", "", "rest:https://%72%69%76%65%72%73%69%64%65:%61%40@backup.example/riverside"),
        ("server", "/media/usb", "/media/usb"),
        ("offsite", "/media/usb", "/media/usb"),
        ("onsite", "s3:https://other/b", "s3:https://other/b"),
    ],
)
def test_a_repository_that_was_moved_is_opened_where_it_is_and_asks_for_no_login(
    tmp_path: Path, repository: str, moved: str, used: str
) -> None:
    script, restic = tmp_path / "restore.sh", tmp_path / "restic"
    script.write_bytes(restore_sh(make_input()))
    restic.write_text('#!/bin/sh\necho "$RESTIC_REPOSITORY"\n')
    restic.chmod(0o700)
    given = {"RESTIC_PASSWORD": "p", "RESTIC": str(restic), "PATH": os.environ["PATH"]}
    given |= {"KIT_LOCATION": moved} if moved else {"RESTIC_REST_PASSWORD": "a@"}
    done = subprocess.run(  # in a session of its own it has no terminal to ask on
        ("bash", str(script), "list", repository),
        env=given,
        capture_output=True,
        text=True,
        check=True,
        start_new_session=True,
    )
    assert done.stdout == f"{used}\n"


@pytest.mark.parametrize(
    ("words", "restic", "said"),
    [
        (("restore", "emr", "onsite"), "/none/restic", "there is no program /none/restic"),
        (("list", "onsite"), "/none/restic", "there is no program /none/restic"),
        (("restore", "emmr", "onsite"), "true", "this kit knows no point of that system"),
    ],
)
def test_a_mistake_is_said_before_a_password_is_asked_for(
    tmp_path: Path, words: tuple[str, ...], restic: str, said: str
) -> None:
    script = tmp_path / "restore.sh"
    script.write_bytes(restore_sh(make_input()))
    folder = (str(tmp_path / "back"),) if words[0] == "restore" else ()
    done = subprocess.run(
        ("bash", str(script), *words, *folder),
        env={"RESTIC": restic, "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,
    )
    assert (done.returncode, said in done.stderr) == (2, True)
    assert "password" not in done.stderr


def test_small_files_come_beside_the_data_and_the_lines_that_load_it_are_shown(
    tmp_path: Path,
) -> None:
    script, restic = tmp_path / "restore.sh", tmp_path / "restic"
    script.write_bytes(restore_sh(make_input()))
    restic.write_text(
        "#!/bin/bash\n"
        'mkdir -p "$5"; case $5 in */MANIFEST) at="$5/tmp/m/assets/database"\n'
        'mkdir -p "$at"; echo roles >"$at/globals.sql" ;; esac\n'
    )
    restic.chmod(0o700)
    back = tmp_path / "it is back"
    done = subprocess.run(
        ("bash", str(script), "restore", "emr", "onsite", str(back)),
        env={"RESTIC_PASSWORD": "p", "RESTIC": str(restic), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
        start_new_session=True,
    )
    assert (back / "database" / "globals.sql").read_text() == "roles\n"
    shown = done.stderr.splitlines()
    assert shlex.split(next(each for each in shown if each.startswith("cd "))) == ["cd", str(back)]
    assert any(each.endswith(" database/database.pgdump") for each in shown)
    assert "$ /usr/lib/postgresql/15/bin/psql" in (back / "NEXT-STEPS.txt").read_text()


def test_windows_gets_the_script_in_its_own_signs() -> None:
    content = restore_ps1(make_input())
    assert content.startswith(b"\xef\xbb\xbf")
    assert b"\n" not in content.replace(b"\r\n", b"")
    assert content.count(b"{") == content.count(b"}")
