"""`dro demo`: see it work in under a minute, on a made-up practice."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dr_orchestrator.app import App
from dr_orchestrator.demo.damage import CarelessDriver
from dr_orchestrator.demo.story import tell
from dr_orchestrator.errors import ExitCode, TargetRefused
from dr_orchestrator.plan.model import Reader
from dr_orchestrator.process import Command
from dr_orchestrator.report.write import Form, file_name, report_for, write_report
from dr_orchestrator.restore.restore_test import RestoreTestRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dr_orchestrator.assets.base import CaptureRequest
    from dr_orchestrator.cli.main import Context
    from dr_orchestrator.clock import Clock
    from dr_orchestrator.core.point import AssetKind
    from dr_orchestrator.core.restore_test import RestoreTest
    from dr_orchestrator.settings import Settings


@click.command()
@click.option(
    "--dir",
    "directory",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="keep everything in this new directory, to look around in",
)
@click.pass_obj
def command(context: Context, directory: Path | None) -> ExitCode:
    """Make up a practice, protect it, prove it, and damage three backups: each must be caught.

    Needs restic and bubblewrap, nothing else, and touches nothing of yours.

    Exit codes: 0 all of it went as promised; 1 something did not.
    """
    with _folder(directory) as folder, contextlib.ExitStack() as sites:

        def make_site(place: Path, plan_text: str) -> Site:
            return sites.enter_context(
                contextlib.closing(Site(place, plan_text, context.settings, context.clock))
            )

        ended_well = tell(folder, make_site, context.clock, context.say)
    return ExitCode.OK if ended_well else ExitCode.FAILED


@contextlib.contextmanager
def _folder(directory: Path | None) -> Iterator[Path]:
    """Use the directory that was named and keep it; or a temporary one, of which the page stays."""
    if directory is not None:
        if directory.exists() and any(directory.iterdir()):
            raise TargetRefused(
                f"{directory} is not empty", hint="name a directory that does not exist yet"
            )
        directory.mkdir(mode=0o711, parents=True, exist_ok=True)
        yield directory.resolve()
        return
    folder = Path(tempfile.mkdtemp(prefix="dro-demo-"))
    folder.chmod(0o711)  # the sandbox's user must be able to pass
    try:
        yield folder
    finally:
        for each in folder.iterdir():
            if each.is_dir():
                shutil.rmtree(each)
        folder.chmod(0o700)


class Site:
    """A machine of its own that protects the made-up practice. See `demo.story.DemoSite`."""

    def __init__(self, folder: Path, plan_text: str, settings: Settings, clock: Clock) -> None:
        folder.chmod(0o711)
        plan = folder / "plans" / "riverside.yaml"
        plan.parent.mkdir(exist_ok=True)
        plan.write_text(plan_text)
        state = folder / "state"
        self._cache = folder / "cache"
        self._app = App(
            replace(
                settings,
                plans=plan.parent,
                state=state,
                cache=self._cache,
                sandbox_directory=folder / "sandbox",
            ),
            clock,
        )
        self._clock = clock
        self._loaded = self._app.plans()[0]

    def close(self) -> None:
        """End what still runs."""
        self._app.close()

    def back_up(self, careless: dict[AssetKind, Callable[[CaptureRequest], Path]]) -> timedelta:
        """See `DemoSite.back_up`."""
        begun = self._clock.monotonic()
        drivers = dict(self._app.drivers)
        for kind, spoil in careless.items():
            drivers[kind] = CarelessDriver(drivers[kind], spoil)
        self._app.back_up(self._loaded, "emr", drivers=drivers)
        return timedelta(seconds=self._clock.monotonic() - begun)

    def prove(self) -> RestoreTest:
        """See `DemoSite.prove`."""
        request = RestoreTestRequest(plan=self._loaded.plan, system="emr", repository="onsite")
        return self._app.prove(request)[0]

    def write_page(self, out: Path) -> Path:
        """See `DemoSite.write_page`."""
        subject = self._app.subject(self._loaded)
        path = out / file_name(subject.plan.practice.id, Reader.MANAGER, Form.HTML)
        write_report(report_for(Reader.MANAGER, subject), Form.HTML, subject.now, path)
        return path

    def restic_check(self) -> int:
        """See `DemoSite.restic_check`."""
        spec = self._loaded.plan.repositories["onsite"]
        check = Command(
            argv=("restic", "check", "--no-lock"),
            env={"RESTIC_REPOSITORY": spec.location, "RESTIC_CACHE_DIR": str(self._cache)},
            secrets={"RESTIC_PASSWORD_FILE": self._app.secrets.read(spec.password)},
            timeout=timedelta(minutes=5),
        )
        return self._app.launcher.run(check).returncode
