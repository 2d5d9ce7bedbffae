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


OURS = "answer this e-mail with this sentence:"
LETTER = f"The code is {CODE}.\n\nIf you accept it, {OURS}\n\n    {WORDS} {CODE}\n"
HEAD = "Von: dro\nGesendet: Montag\nAn: Ann\nBetreff: page"


def _require(mail: bytes) -> str:
    return require_reply(
        mail, address=ADDRESS, sentence=WORDS, code=CODE, ours=OURS, plain=("Ann Müller",)
    )


def _from(line: str) -> bytes:
    return f"From: {line}\n\n{MINE}".encode()


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
        _mail(f"* {WORDS} {CODE} *\nAnn MÜLLER"),
        _mail(
            f"<html><body><p>{WORDS}</p><div>{CODE} &ndash; Ann</div></body></html>", kind="html"
        ),
        _mail(f"<p style='opacity:0.9'>{WORDS}</p>{CODE}<hr><b>From:</b> dro<br>x", kind="html"),
    ],
    ids=["plain", "capitals", "wrapped", "one line", "html", "outlook"],
)
def test_reply_with_the_words_and_nothing_else_is_taken(mail: bytes) -> None:
    assert _require(mail) == ""


@pytest.mark.parametrize(
    ("text", "more"),
    [
        (f'I do not agree with this:\n"{WORDS}" {CODE}\n\nNo, I refuse.', "No, I refuse."),
        (f"{WORDS} {CODE}\n\nNot!", "Not!"),
        (f"Das ist gelogen:\n{WORDS}\n{CODE}", "Das ist gelogen:"),
        (f"Dear Mr. Smith:\n\n{WORDS}\nCode: {CODE}\n\nFrom: x@y.example\n{LETTER}", "Dear Mr."),
    ],
)
def test_reply_that_says_more_is_for_a_person_to_read(text: str, more: str) -> None:
    assert more in _require(_mail(text))


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
        (_mail(MINE.replace(CODE, "0" * 12)), f"in its own text: {CODE}"),
        *(
            (_mail(f"No.\n\n{introduces}\n\n{MINE}"), "in its own text")
            for introduces in (
                "Am 22.11.2026 um 10:00 schrieb dro <dro@msp.example>:",
                "Le lun. 22 nov. 2026 à 10:00, dro <dro@msp.example>\na écrit :",
                "-----Ursprüngliche Nachricht-----",
                "________________________________",
                "---------- Forwarded message ---------",
                "Begin forwarded message:",
                "From: dro <dro@msp.example>\nSent: Monday",
                HEAD,
                LETTER,
            )
        ),
        (_mail(f"Am 22.11. schrieb dro:\n{MINE}"), "in its own text"),
        (_mail(f"<p>No</p><div id=divRplyFwdMsg>x</div>{WORDS} {CODE}", kind="html"), "own text"),
        (_mail(f"<p>No</p><p>{HEAD}</p>{LETTER}".replace("\n", "<br>"), kind="html"), "own text"),
        (_mail(f"No<div hidden><div></div>{WORDS} {CODE}</div>", kind="html"), "own text"),
        (_mail(f"No<p style='font-size: 0px'>{WORDS} {CODE}", kind="html"), "own text"),
        (_mail(f"I can not say that {MINE}"), "in its own text"),
        (_mail(f'I do not agree with this: "{WORDS}" {CODE}\nNo, I refuse.'), "in its own text"),
        (_mail(f"{WORDS} Not at all. {CODE}"), "in its own text"),
        (_from(f"{ADDRESS}\nFrom: thief@elsewhere.example"), "thief@"),
        (_from(f"{ADDRESS}, thief@elsewhere.example"), "thief@"),
        (_from(f"=?utf-8?q?{ADDRESS}=2C?= thief@elsewhere.example"), "thief@"),
        (_from('"'), "no e-mail"),
        (_from("@,<"), "no e-mail"),
        (b"\x00\xff no e-mail", "no e-mail"),
    ],
)
def test_reply_is_refused_when_the_words_are_not_the_persons_own(mail: bytes, says: str) -> None:
    with pytest.raises(UsageMistake, match=says):
        _require(mail)
