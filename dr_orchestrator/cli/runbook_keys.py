"""What a terminal sends, as keys; and a line that is typed with them. Pure."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass

from dr_orchestrator.core.wording import printable

ENTER, BACKSPACE, TAB = "enter", "backspace", "tab"
CLEAR, WORD, LEAVE, ESCAPE = "clear", "word", "leave", "escape"
_CONTROLS = {
    "\r": ENTER,
    "\n": ENTER,
    "\x7f": BACKSPACE,
    "\b": BACKSPACE,
    "\t": TAB,
    "\x15": CLEAR,
    "\x17": WORD,
    "\x03": LEAVE,
    "\x04": LEAVE,
}
_PASTE, _PASTED = "\x1b[200~", "\x1b[201~"
_SEQUENCE = re.compile("\x1b(?:\\[[0-?]*[ -/]*[@-~]|O.|[^\\[O])", re.DOTALL)
"""What arrows and function keys send (ECMA-48): of no use here, and never taken for letters."""
_LONGEST = 500


@dataclass(frozen=True)
class Key:
    """A key with a name of its own, or text that was typed or pasted."""

    name: str = ""
    text: str = ""


class Keys:
    """Turns bytes into keys, however they are cut apart."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("ignore")
        self._left = ""
        self._pasting = False

    @property
    def is_open(self) -> bool:
        """Whether the last sign was an `Escape`, which more may belong to: it comes at once."""
        return self._left == "\x1b"

    def end(self) -> Iterator[Key]:
        """Yield the `Escape` that nothing came after in time."""
        if self.is_open:
            self._left = ""
            yield Key(name=ESCAPE)

    def feed(self, content: bytes) -> Iterator[Key]:
        """Yield the keys that are complete by now. A pasted line end is a space: it sends nothing
        off.
        """
        self._left += self._decoder.decode(content)
        while self._left:
            if self._left[0] == "\x1b":
                found = _SEQUENCE.match(self._left)
                if found is None:
                    return
                self._left = self._left[found.end() :]
                self._pasting = found[0] == _PASTE or (self._pasting and found[0] != _PASTED)
                continue
            sign, self._left = self._left[0], self._left[1:]
            if self._pasting:
                yield Key(text=" " if sign in "\r\n\t" else sign)
            elif sign in _CONTROLS:
                yield Key(name=_CONTROLS[sign])
            else:
                yield Key(text=sign)


class Line:
    """One line that is typed."""

    def __init__(self) -> None:
        self.text = ""

    def take(self, key: Key) -> None:
        """Change the line as a key says; what cannot be seen does not get into it."""
        if key.name == BACKSPACE:
            self.text = self.text[:-1]
        elif key.name == CLEAR:
            self.text = ""
        elif key.name == WORD:
            self.text = self.text.rstrip().rpartition(" ")[0]
        elif key.text == " " or (key.text and printable(key.text) == key.text):
            self.text = (self.text + key.text)[:_LONGEST]
