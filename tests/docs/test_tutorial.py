"""The commands of docs/tutorial.md, run as they stand there.

Each runs as root in a mount namespace of its own, where /etc is a copy, /run, /srv, /var/lib and
/var/cache are empty folders of the test, and /run/postgresql is that of a private server with
Debian's own rules of who may log in. So nothing on the page has to be replaced, but what installs:
instead of `pipx install`, the package is built and installed beside the test.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZipFile

import pytest

from dr_orchestrator import beneath
from tests.support.postgres import EMR, PATIENT, Production, production
from tests.support.tools import require_tool

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "tutorial.md"
_DEBIAN_HBA = "local all postgres peer\nlocal all all peer\n"
_ROW_SECURITY = "alter table emr.patient enable row level security"
_IN_A_MACHINE_OF_ITS_OWN = """
set -eu
mkdir -p "$M/code" "$M/python"
mount --rbind "$CODE" "$M/code"
mount --rbind "$PYTHON" "$M/python"
for each in dev/shm etc run srv var/lib var/cache; do mount --bind "$M/$each" "/$each"; done
mount --bind "$SOCKETS" /run/postgresql
mkdir -p "$CODE" "$PYTHON"
mount --rbind "$M/code" "$CODE"
mount --rbind "$M/python" "$PYTHON"
cd /
exec sh -eu -c "$1"
"""


def commands() -> list[str]:
    """Return the commands of the page: a line, or several by a backslash or a here-document."""
    found: list[str] = []
    for block in re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL):
        lines = iter(block.splitlines())
        for line in lines:
            taken = [line]
            while taken[-1].endswith("\\"):
                taken.append(next(lines))
            if here := re.search(r"<<'(\w+)'", line):
                while taken[-1] != here[1]:
                    taken.append(next(lines))
            found.append("\n".join(taken))
    return found


INSTALLING = [each for each in commands() if re.match(r"apt-get |PIPX_", each)]
Said = dict[str, str]
RUN = [each for each in commands() if each not in INSTALLING]


@dataclass(frozen=True)
class Machine:
    """A folder that stands for a new machine, and the server on it."""

    folder: Path
    server: Production

    def run(self, command: str, typed: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command as a person at this machine would, who types something where asked."""
        return subprocess.run(
            (
                *("unshare", "--mount", "--propagation", "private", "--"),
                *("sh", "-c", _IN_A_MACHINE_OF_ITS_OWN, "sh", command),
            ),
            env={
                "M": str(self.folder),
                "CODE": str(ROOT),
                "PYTHON": sys.prefix,
                "SOCKETS": self.server.host,
                "PATH": f"{self.folder / 'app' / 'bin'}:{os.environ['PATH']}",
                "PYTHONPATH": str(self.folder / "app"),
                "HOME": str(self.folder / "home"),
                "LANG": "C.UTF-8",
            },
            input=typed,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )

    def key_on_paper(self) -> str:
        """Return the key as the printed sheet has it."""
        (sheet,) = (self.folder / "dev" / "shm").glob("key-sheet-riverside-manager-*.pdf")
        done = subprocess.run(("pdftotext", str(sheet), "-"), capture_output=True, check=True)
        groups = re.findall(rb"\b[0-9A-Z]{5}\b", done.stdout)
        return b" ".join(groups).decode()


@pytest.fixture(scope="module")
def package() -> Iterator[Path]:
    """Build what pipx would install, from the files of this checkout."""
    folder = Path(tempfile.mkdtemp(prefix="dro-"))
    folder.chmod(0o755)
    try:
        _pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT))
        (wheel,) = folder.glob("*.whl")
        yield wheel
    finally:
        beneath.remove(folder)


@pytest.fixture(scope="module")
def machine(package: Path) -> Iterator[Machine]:
    if os.geteuid() != 0:
        pytest.skip("only root may mount")
    for tool in ("restic", "bwrap", "unshare", "runuser", "psql", "pdftotext"):
        require_tool(tool)
    folder = Path(tempfile.mkdtemp(prefix="dro-"))
    folder.chmod(0o711)
    try:
        for name in ("home", "dev/shm", "run/postgresql", "srv", "var/lib", "var/cache"):
            (folder / name).mkdir(parents=True)
        subprocess.run(("cp", "-a", "/etc", str(folder / "etc")), check=True)
        _pip("install", "--no-deps", "--no-index", "--target", str(folder / "app"), str(package))
        with production() as server:
            server.run("create database emr")
            server.run(f"{EMR}; {_ROW_SECURITY}", "emr")
            server.run(f"insert into emr.patient (name) values ('{PATIENT}')", "emr")
            (server.data / "pg_hba.conf").write_text(_DEBIAN_HBA)
            server.run("select pg_reload_conf()")
            yield Machine(folder, server)
    finally:
        beneath.remove(folder)


@pytest.fixture(scope="module")
def said(machine: Machine) -> Said:
    """Run the page's commands in their order, and return what each said."""
    heard = {}
    for command in RUN:
        typed = machine.key_on_paper() if command.startswith("dro key prove") else ""
        done = machine.run(command, typed)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        heard[command] = done.stdout + done.stderr
    return heard


def _pip(*words: str) -> None:
    argv = (sys.executable, "-m", "pip", "-qq", "--no-input", *words)
    done = subprocess.run(argv, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr


def test_page_installs_what_scripts_install_and_pipx() -> None:
    packages = set(INSTALLING[1].split()) - {"apt-get", "install", "\\"}
    packages = {each for each in packages if not each.startswith("-")}
    scripts = (ROOT / "scripts" / "test").read_text()
    assert "pipx" in packages
    assert {each for each in packages if not re.search(rf'[ "]{each}:\S', scripts)} == {"pipx"}
    assert INSTALLING[2].endswith(' pipx install "/opt/dr-orchestrator[pdf]"')


def test_package_holds_every_file_that_git_has(package: Path) -> None:
    listed = subprocess.run(
        ("find", "dr_orchestrator", "-type", "f", "-not", "-path", "*/__pycache__/*"),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    with ZipFile(package) as wheel:
        inside = {each for each in wheel.namelist() if each.startswith("dr_orchestrator/")}
    ours = {
        f"dr_orchestrator/runbook/shipped/{each.name}" for each in (ROOT / "runbooks").iterdir()
    }
    assert inside == {*listed, *ours}


def test_commands_ran_the_package_that_was_built(machine: Machine, said: Said) -> None:
    where = "import dr_orchestrator; print(dr_orchestrator.__file__)"
    assert machine.run(f'{sys.executable} -c "{where}"').stdout.startswith(
        str(machine.folder / "app")
    )


def test_page_leads_to_a_passed_test_at_depth_4(said: Said) -> None:
    assert said["dro plan validate riverside"].endswith("riverside.yaml: valid\n")
    tested = said["dro test riverside"]
    assert re.match(r"emr: passed: point \S+ from onsite, depth L4, sandbox: bubblewrap", tested)


def test_page_shows_lines_that_a_test_says(said: Said) -> None:
    shown = re.search(r"```text\n(emr: passed.*?)```", PAGE.read_text(), re.DOTALL)
    assert shown is not None
    assert _titles(shown[1]) <= _titles(said["dro test riverside"])


def test_practice_is_kept_and_has_its_page_afterwards(machine: Machine, said: Said) -> None:
    status = machine.run("dro status riverside")
    assert status.returncode == 0, status.stdout + status.stderr
    page = machine.folder / "srv" / "reports" / "riverside.html"
    assert "Riverside Family Practice" in page.read_text()
    assert PATIENT not in "".join((*said.values(), page.read_text()))


def _titles(text: str) -> set[str]:
    """Return what was verified or noted, without the numbers behind it in brackets."""
    return set(re.findall(r"^  (?:passed|note) +(.*?)(?: \([^()]*\))?$", text, re.MULTILINE))
