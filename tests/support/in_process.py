"""`dro` in the test's own process: to start another one takes the most of a second."""

from __future__ import annotations

from click.testing import CliRunner

from dr_orchestrator.cli.main import Context, dro
from dr_orchestrator.errors import DroError
from tests.support.site import Ended, Site


def run_dro(site: Site, *words: str, **environment: str) -> Ended:
    """Run a command to its end as `main` does, with nobody at the keyboard."""
    context = Context(json="--json" in words)
    try:
        ended = CliRunner().invoke(
            dro, words, obj=context, env=site.environment | environment, standalone_mode=False
        )
    finally:
        context.close()
    error = ended.exception
    if isinstance(error, DroError):
        said = f"{ended.stderr}error: {error.message}\nhint: {error.hint}\n"
        return Ended(error.exit_code, ended.stdout, said)
    if error is not None:
        raise error
    return Ended(ended.return_value or 0, ended.stdout, ended.stderr)
