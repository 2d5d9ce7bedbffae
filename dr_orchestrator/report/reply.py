"""An e-mail in which somebody signs: who wrote it, and whether the words are in it.

Anybody can write a From line. What is taken here is a reply that a person of ours received and
hands in; the record says who that was. Our own message holds the very sentence: so whatever may be
a quote, in any program's style, ends what counts as hers. An honest reply is refused rather than
our own words taken for hers. What else she writes may take the sentence back, in any language: a
person has to read that.
"""

from __future__ import annotations

import re
from email import message_from_bytes, policy
from html.parser import HTMLParser
from typing import TYPE_CHECKING

from dr_orchestrator.errors import UsageMistake

if TYPE_CHECKING:
    from collections.abc import Iterable
    from email.message import EmailMessage

_QUOTED = re.compile(r"(?m)^\s*[>|].*$")
"""What she only quotes is our own mail, not her word."""
_RULE = re.compile(r"[-_=*\u2014]{3,}")
"""`-----Original Message-----`, `________`."""
_LABEL = re.compile(r"\W*\w[\w ]{0,20}\W*:.")
_LABELS = 3
"""So many lines as `From: …` in a row are the head of a message, in any language."""
_UNSHOWN_TAGS = frozenset({"style", "script", "head", "title", "template", "blockquote"})
_UNSHOWN_STYLE = re.compile(
    r"display:none|visibility:hidden|mso-hide:all|(?:font-size|opacity|max-height):0(?![.\d]*[1-9])"
)
_QUOTE = re.compile(r"quote|cite|rplyfwd|appendonsend", re.IGNORECASE)
"""In the class or id of what holds a quote: Gmail, Outlook, Yahoo, Thunderbird."""
_EMPTY_TAGS = frozenset({"br", "hr", "img", "meta", "link", "input", "col", "wbr", "area", "base"})
_LINES = frozenset({"br", "p", "div", "tr", "li", "table"})


def require_reply(
    content: bytes,
    *,
    address: str,
    sentence: str,
    code: str,
    ours: str,
    plain: Iterable[str] = (),
) -> str:
    """See that an e-mail came from `address`, and that its own text says `sentence`, on a line of
    its own, and `code`. Return what else it says, but for words that stand in `plain`: her name.

    `ours`: what stands in our message before them; after it nothing is hers.

    Raises:
        UsageMistake: it did not, it does not, or it is no e-mail.
    """
    message: EmailMessage = message_from_bytes(content, policy=policy.default)
    senders = _senders(message)
    if not senders:
        raise UsageMistake("this is no e-mail: it has no sender", hint="save the message as .eml")
    if [each.casefold() for each in senders] != [address.casefold()]:
        raise UsageMistake(
            f"the e-mail is from {', '.join(senders)}, not from {address}",
            hint="only the contact's own address counts",
        )
    own = _own_text(message, ours)
    code_said = rf"\b{_words(code)}\b"
    alone = rf"(?m)^[^\w\n]*{_words(sentence)}[^\w\n]*(?:{code_said}[^\w\n]*)?$"
    more = own
    for wanted, pattern in ((sentence, alone), (code, code_said)):
        if not re.search(pattern, own, re.IGNORECASE):
            raise UsageMistake(
                f"the e-mail does not say in its own text: {wanted}",
                hint="on a line of its own; what is only quoted does not count; ask for a reply "
                "that begins with this very sentence and the code",
            )
        more = re.sub(pattern, "", more, flags=re.IGNORECASE)
    known = {word for text in plain for word in _bare(text)}
    return more.strip() if set(_bare(more)) - known else ""


def _bare(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())


def _senders(message: EmailMessage) -> list[str]:
    """Return the addresses of all From lines: of a name that looks like one nothing is taken."""
    try:
        lines = message.get_all("From", [])
        return [each.addr_spec for line in lines for each in line.addresses if each.addr_spec]
    except (AttributeError, IndexError, TypeError, ValueError):  # of a line that is no sender
        return []


def _own_text(message: EmailMessage, ours: str) -> str:
    part = message.get_body(("plain", "html"))
    try:
        text = part.get_content() if part is not None else ""
    except (LookupError, UnicodeError, KeyError):
        text = ""
    if part is not None and part.get_content_subtype() == "html":
        text = _text_of(text)
    own = _before_quote(_QUOTED.sub("", text).strip().splitlines())
    return re.split(_words(ours), own, maxsplit=1, flags=re.IGNORECASE)[0]


def _before_quote(text: list[str]) -> str:
    """Return what stands before the line with which a mail program introduces what it quotes:
    `On 22 Nov 2026 Sam <sam@msp.example> wrote:`, a rule, or the head of a message.
    """
    lines = [line.strip() for line in text]
    for number, line in enumerate(lines):
        introduces = line.endswith(":") and (number or re.search(r"[\d@]", line))
        head = [each for each in lines[number : number + _LABELS] if _LABEL.match(each)]
        from_somebody = "@" in line and head[:1] == [line]
        if introduces or _RULE.match(line) or from_somebody or len(head) == _LABELS:
            return "\n".join(lines[:number])
    return "\n".join(lines)


def _words(text: str) -> str:
    """Return the expression that finds the words of a text, however it is wrapped or marked."""
    return r"\W+".join(map(re.escape, re.findall(r"\w+", text)))


class _Shown(HTMLParser):
    """Collects what a reader of HTML sees of the writer's own words."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self._hidden: list[str] = []
        """What is open from the outermost tag that is not shown."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _EMPTY_TAGS and (self._hidden or _is_unshown(tag, dict(attrs))):
            self._hidden.append(tag)
        if tag == "hr" or any(_QUOTE.search(v or "") for k, v in attrs if k in {"class", "id"}):
            self.words.append("\n-----\n")
        self.words.append("\n" if tag in _LINES else "")

    def handle_endtag(self, tag: str) -> None:
        if tag in self._hidden:
            last = len(self._hidden) - 1 - self._hidden[::-1].index(tag)
            del self._hidden[last:]
        self.words.append("\n" if tag in _LINES else "")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.words.append(re.sub(r"\s+", " ", data))


def _is_unshown(tag: str, attributes: dict[str, str | None]) -> bool:
    style = "".join((attributes.get("style") or "").split()).casefold()
    return tag in _UNSHOWN_TAGS or "hidden" in attributes or bool(_UNSHOWN_STYLE.search(style))


def _text_of(html: str) -> str:
    shown = _Shown()
    shown.feed(html)
    return re.sub(r"\n\s*", "\n", "".join(shown.words))
