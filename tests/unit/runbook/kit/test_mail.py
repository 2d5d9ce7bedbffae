from __future__ import annotations

import io
import zipfile
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from dr_orchestrator.core.letter import Attachment, Letter
from dr_orchestrator.runbook.kit.build import Kit, build_kit, sums_of
from dr_orchestrator.runbook.kit.mail import MOST_BYTES, is_due_by_mail, kit_mail
from tests.support.kits import MADE, make_input, no_paper


def mail_of(kit: Kit) -> Letter:
    return kit_mail(kit, practice="riverside", name="Riverside", made=MADE, until="21 December")


def test_mail_packs_all_but_what_mail_servers_refuse() -> None:
    kit = build_kit(make_input(restic={"restic.exe": b"MZ"}), no_paper)
    mail = mail_of(kit)
    (packed,) = mail.attachments
    with zipfile.ZipFile(io.BytesIO(packed.content)) as archive:
        files = {name.removeprefix("riverside/"): archive.read(name) for name in archive.namelist()}
    assert set(kit.files) - set(files) == {"restore.ps1", "restic/restic.exe"}
    assert files.pop("SHA256SUMS") == sums_of(files)
    assert (packed.name, packed.media_type) == ("riverside-recovery-kit.zip", "application/zip")
    assert mail == mail_of(kit)


def test_mail_carries_the_paper_alone_where_all_of_it_is_too_large() -> None:
    import random

    large = random.Random(7).randbytes(MOST_BYTES)
    kit = Kit(files={"kit.pdf": b"%PDF", "large": large, "SHA256SUMS": b""}, inputs="")
    paper = Attachment(
        name="riverside-recovery-kit.pdf", media_type="application/pdf", content=b"%PDF"
    )
    assert mail_of(kit).attachments == (paper,)
    without = Kit(files={"large": large, "SHA256SUMS": b""}, inputs="")
    assert mail_of(without).attachments == ()


@given(st.integers(2, 60), st.integers(0, 10**6))
def test_nobody_outlives_the_kit_in_the_mail_where_one_is_made_each_day(
    days: int, start_hours: int
) -> None:
    valid, day = timedelta(days=days), timedelta(days=1)
    now = MADE + timedelta(hours=start_hours)
    mailed = made = now
    for _ in range(3 * days):
        now += day
        if is_due_by_mail(made, now, valid):
            mailed = now
        made = now
        assert now - mailed <= valid + day
    assert mailed > MADE + timedelta(hours=start_hours)
