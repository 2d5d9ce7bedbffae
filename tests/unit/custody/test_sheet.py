from __future__ import annotations

import re

import pytest

from dr_orchestrator.custody.sheet import BLANK, html_of
from tests.support.key_sheets import KEY, make_sheet

S3 = "s3:https://s3.us-east-2.amazonaws.com/riverside-dr"
REST = "rest:https://backup.example/dr"
HALVES = {"access_key_id": {"env": "ID"}, "secret_access_key": {"env": "KEY"}}
LOGIN = {"user": "reader", "password": {"env": "LOGIN"}}


def test_sheet_shows_what_is_elsewhere_since_this_machine_may_be_gone() -> None:
    sheet = make_sheet(location=S3)
    assert sheet.shown == "offsite"
    assert [each.on for each in sheet.places] == ["backup-1", ""]
    assert make_sheet().shown == "onsite"


def test_sheet_leaves_a_blank_where_nobody_says_what_a_storage_asks_for() -> None:
    sheet = make_sheet(location=S3)
    assert sheet.places[1].login == BLANK
    assert sheet.lines[2] == f"export AWS_ACCESS_KEY_ID={BLANK} AWS_SECRET_ACCESS_KEY={BLANK}"
    assert make_sheet().places[1].login == ""
    said = {"access_key_id": {"env": "A", "obtain": "the safe"}, "secret_access_key": {"env": "B"}}
    assert make_sheet(location=S3, credentials=said).places[1].login == "the safe"


def test_sheet_prints_read_only_credentials_and_no_others() -> None:
    own = {"access_key_id": {"env": "OWN"}, "secret_access_key": {"env": "OWN"}}
    sheet = make_sheet(location=S3, credentials=own, sheet_credentials=HALVES)
    assert sheet.lines[2] == ("export AWS_ACCESS_KEY_ID='the ID' AWS_SECRET_ACCESS_KEY='the KEY'")
    assert "the OWN" not in html_of(sheet).decode()


def test_sheet_has_the_login_of_a_rest_server_where_restic_reads_it() -> None:
    own = {"user": "saves", "password": {"env": "OWN"}}
    sheet = make_sheet(location=REST, credentials=own, sheet_credentials=LOGIN)
    assert sheet.lines[1] == (
        "export RESTIC_REPOSITORY=rest:https://reader:the%20LOGIN@backup.example/dr"
    )
    plain = make_sheet(location=REST, credentials=own)
    assert "saves:PASSWORD@" in plain.lines[1]


def test_sheet_is_the_same_each_time_and_loads_nothing() -> None:
    page = html_of(make_sheet(location=S3)).decode()
    assert page == html_of(make_sheet(location=S3)).decode()
    assert re.findall(r"<b>([0-9A-Z]{5})</b>", page) == KEY.reveal().split("-")
    assert not re.search(r"""(src|href)=|<script|@import|url\(""", page)


@pytest.mark.parametrize("name", ["<b>Riverside</b>", "Riverside\u202e\x1b[2J"])
def test_sheet_shows_names_and_nothing_else(name: str) -> None:
    page = html_of(make_sheet(practice={"name": name})).decode()
    assert "Riverside" in page
    assert "<b>Riverside" not in page
    assert "\x1b" not in page
    assert "\u202e" not in page
