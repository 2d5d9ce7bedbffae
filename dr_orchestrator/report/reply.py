"""An e-mail in which somebody signs: who wrote it, and whether the words are in it.

Anybody can write a From line. What is taken here is a reply that a person of ours received and
hands in; the record says who that was.
"""

from __future__ import annotations

import re
from email import message_from_bytes, policy
from email.utils import parseaddr
from html.parser import HTMLParser
from typing import TYPE_CHECKING

from dr_orchestrator.errors import UsageMistake

if TYPE_CHECKING:
    from email.message import EmailMessage

_QUOTED = re.compile(r"(?m)^\s*>.*$")
"""What she only quotes is our own mail, not her word."""
_HEADER_OF_QUOTE = re.compile(r"(?ms)^(On .{0,200}wrote:|-{2,} ?Original Message ?-{2,}).*")
_UNSHOWN = frozenset({"style", "script", "head", "blockquote"})


def require_reply(content: bytes, *, address: str, words: str) -> None:
    """See that an e-mail came from `address`, and that its own text holds `words`.

    Raises:
        UsageMistake: it did not, it does not, or it is no e-mail.
    """
    message: EmailMessage = message_from_bytes(content, policy=policy.default)
    _name, sender = parseaddr(str(message["From"] or ""))
    if not sender:
        raise UsageMistake("this is no e-mail: it has no sender", hint="save the message as .eml")
    if sender.casefold() != address.casefold():
        raise UsageMistake(
            f"the e-mail is from {sender}, not from {address}",
            hint="only the contact's own address counts",
        )
    if _plain(words) not in _plain(_own_text(message)):
        raise UsageMistake(
            f"the e-mail does not say in its own text: {words}",
            hint="what is only quoted does not count; ask for a reply with this very sentence",
        )


def _own_text(message: EmailMessage) -> str:
    part = message.get_body(("plain", "html"))
    try:
        text = part.get_content() if part is not None else ""
    except (LookupError, UnicodeError, KeyError):
        text = ""
    if part is not None and part.get_content_subtype() == "html":
        text = _text_of(text)
    return _QUOTED.sub("", _HEADER_OF_QUOTE.sub("", text.replace("\r", "")))


def _plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold()))


class _Words(HTMLParser):
    """Collects what a reader of HTML sees of the writer's own words."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self._hidden: list[str] = []

    def handle_starttag(self, tag: str, _attributes: object) -> None:
        if tag in _UNSHOWN:
            self._hidden.append(tag)
        self.words.append("\n" if tag in {"br", "p", "div"} else " ")

    def handle_endtag(self, tag: str) -> None:
        if tag in self._hidden:
            self._hidden.remove(tag)

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.words.append(data)


def _text_of(html: str) -> str:
    words = _Words()
    words.feed(html)
    return "".join(words.words)
