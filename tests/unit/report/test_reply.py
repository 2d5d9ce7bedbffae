"""E-mails in which somebody signs."""

from __future__ import annotations

from email.message import EmailMessage

import pytest

from dr_orchestrator.errors import UsageMistake
from dr_orchestrator.report.reply import require_reply

WORDS = "I have read this page and accept what it promises."
CODE = "3f2a9c04b1d7"
ADDRESS = "manager@riverside.example"
MINE = f"{WORDS}\n{CODE}\n\nAnn\n"


def _mail(text: str, *, sender: str = f"Ann Müller <{ADDRESS}>", kind: str = "plain") -> bytes:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, "msp@example", "Re: the page – ok"
    message.set_content(text, subtype=kind, cte="quoted-printable")
    return bytes(message)


@pytest.mark.parametrize(
    "mail",
    [
        _mail(MINE),
        _mail(MINE.replace("\n", "\r\n"), sender=ADDRESS.upper()),
        _mail(MINE.replace("read this", "read\nthis") + "\n> what you wrote\n"),
        _mail(
            f"<html><body><p>{WORDS}</p><div>{CODE} &ndash; Ann</div></body></html>", kind="html"
        ),
    ],
    ids=["plain", "capitals", "wrapped", "html"],
)
def test_reply_with_the_words_is_taken(mail: bytes) -> None:
    require_reply(mail, address=ADDRESS, words=WORDS)
    require_reply(mail, address=ADDRESS, words=CODE)


@pytest.mark.parametrize(
    ("mail", "says"),
    [
        (_mail(MINE, sender="boss@riverside.example"), "is from boss@"),
        (_mail(MINE, sender=f'"{ADDRESS}" <thief@elsewhere.example>'), "is from thief@"),
        (_mail("Fine!\n\n> " + MINE.replace("\n", "\n> ")), "in its own text"),
        (_mail(f"No.\n\nOn Monday, dro wrote:\n{MINE}"), "in its own text"),
        (_mail(f"<p>No</p><blockquote>{WORDS} {CODE}</blockquote>", kind="html"), "own text"),
        (_mail(f"<p>No</p><style>{WORDS}</style>", kind="html"), "own text"),
        (_mail("I have read this page."), "in its own text"),
        (b"\x00\xff no e-mail", "no e-mail"),
    ],
)
def test_reply_is_refused_when_the_words_are_not_the_persons_own(mail: bytes, says: str) -> None:
    with pytest.raises(UsageMistake, match=says):
        require_reply(mail, address=ADDRESS, words=WORDS)
