"""Pages as a browser lays them out: what a tool for accessibility says, and whether all is in view.

One Chromium looks at all of them, each in frames of its own: as wide as a telephone, in light
colours, and as wide as a desk's screen, in dark ones. Colours do not depend on the width. A copy is
looked at, without its content policy, since axe is a script.
"""

from __future__ import annotations

import html
import json
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from tests.support.tools import require_tool

PHONE, DESK = 390, 1280
_DARK = "@media screen and (prefers-color-scheme: dark)"
_POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')
_TIMEOUT = 120
_OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--virtual-time-budget=100000",
    "--window-size=1400,1000",
)
_BENCH = """<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>bench</title><body>
<script type="text/plain" id="axe">AXE</script>
<script type="application/json" id="pages">PAGES</script>
<script>
const axe = document.getElementById("axe").textContent;
const pages = JSON.parse(document.getElementById("pages").textContent);
const cut = page => [...page.querySelectorAll("body *")].filter(each =>
  each.getBoundingClientRect().right > page.documentElement.clientWidth + 1
  && !each.closest(".unseen, thead, svg")).map(each => each.outerHTML.slice(0, 120));
async function look(given) {
  const frame = document.createElement("iframe");
  frame.width = given.width; frame.height = 900; frame.title = "page"; frame.srcdoc = given.html;
  const loaded = new Promise(done => frame.addEventListener("load", done));
  document.body.append(frame);
  await loaded;
  const page = frame.contentDocument;
  for (const each of page.querySelectorAll("details")) each.open = true;
  frame.contentWindow.eval(axe);
  const options = {resultTypes: ["violations"], preload: false};
  const found = await frame.contentWindow.axe.run(page, options);
  const seen = {name: given.name, width: given.width, dark: given.dark,
    scroll_width: page.documentElement.scrollWidth, cut: cut(page).slice(0, 5),
    violations: found.violations.flatMap(rule => rule.nodes.map(
      node => `${rule.id}: ${node.html.slice(0, 160)}: ${node.failureSummary}`))};
  frame.remove();
  return seen;
}
(async () => {
  const seen = [];
  for (const each of pages) seen.push(await look(each));
  document.body.innerHTML = "<pre></pre>";
  document.querySelector("pre").textContent = JSON.stringify(seen);
})();
</script></body></html>"""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One page at one width, light or dark."""

    name: str
    width: int
    dark: bool
    scroll_width: int
    """How wide the page is; more than `width` where one has to scroll sideways."""
    cut: list[str]
    """What reaches beyond the right edge."""
    violations: list[str]
    """What axe finds, each with its rule and its element."""


def look_at(pages: Mapping[str, bytes], folder: Path) -> list[Seen]:
    """Return how each page looks on a telephone and on a desk."""
    chromium = require_tool("chromium")
    given = [
        {"name": name, "width": width, "dark": dark, "html": _copy(page.decode(), dark=dark)}
        for name, page in pages.items()
        for width, dark in ((PHONE, False), (DESK, True))
    ]
    axe = (files("axe_core_python") / "axe.min.js").read_text(encoding="utf-8")
    bench = folder / "bench.html"
    filled = _BENCH.replace("PAGES", _in_script(json.dumps(given)))
    bench.write_text(filled.replace("AXE", _in_script(axe)), encoding="utf-8")
    ended = subprocess.run(
        [
            chromium,
            *_OPTIONS,
            f"--user-data-dir={folder / 'profile'}",
            "--dump-dom",
            bench.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=_TIMEOUT,
        check=True,
    )
    found = re.search(r"<pre>(.*)</pre>", ended.stdout, flags=re.DOTALL)
    assert found, ended.stderr[-2000:]
    return [Seen(**each) for each in json.loads(html.unescape(found[1]))]


def _copy(page: str, *, dark: bool) -> str:
    assert _POLICY.search(page)
    return _POLICY.sub("", page).replace(_DARK, "@media screen" if dark else "@media not all")


def _in_script(text: str) -> str:
    return text.replace("</", r"<\/")
