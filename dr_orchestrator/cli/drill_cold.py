"""`dro drill --cold`: one system back with nothing but the kit and the key of its repository."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from dr_orchestrator.cli.drill_words import clock_words, drill_json
from dr_orchestrator.clock import Stopwatch
from dr_orchestrator.core.verification import Result
from dr_orchestrator.core.wording import duration_words, printable
from dr_orchestrator.errors import UsageMistake
from dr_orchestrator.runbook.order import recovery_order

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dr_orchestrator.cli.main import Context
    from dr_orchestrator.core.runbook import Drill
    from dr_orchestrator.plan.load import LoadedPlan
    from dr_orchestrator.plan.model import Plan


def start_cold(
    context: Context, loaded: LoadedPlan, systems: tuple[str, ...], repository: str, by: str
) -> Result:
    """Start cold, show what came of it, and return that.

    Raises:
        UsageMistake: more than one system is named, or none is protected.
    """
    from dr_orchestrator.responder import Responder

    system = _the_one(loaded.plan, systems)
    source = repository or loaded.plan.repositories_of(system)[0]
    watch = Stopwatch(context.clock)

    def say(text: str) -> None:
        context.say(f"{clock_words(timedelta(seconds=watch.elapsed()))}  {printable(text)}")

    context.say(f"making a kit, and starting cold: {system} out of {source}")
    drill = Responder(context.app).cold_start(loaded, system, source, by=by, say=say)
    for line in _lines(drill, loaded.plan):
        context.say(line)
    context.print_json_if_asked({"drill": drill_json(drill, loaded.plan)})
    return drill.result


def _the_one(plan: Plan, systems: tuple[str, ...]) -> str:
    if len(systems) > 1:
        raise UsageMistake("a cold start is of one system", hint="name one --system")
    if not systems and not plan.protected:
        raise UsageMistake(f"{plan.practice.id} protects no system: there is nothing to start")
    return systems[0] if systems else recovery_order(plan, plan.protected)[0]


def _lines(drill: Drill, plan: Plan) -> Iterator[str]:
    (drilled,) = drill.systems
    promised = plan.protected[drilled.system]
    took = duration_words(timedelta(seconds=drill.seconds))
    passed = drill.result is Result.PASSED
    yield ""
    yield (
        f"Cold start of {drilled.system}: "
        f"{drill.result.value if passed else drill.result.value.upper()}, after {took}"
    )
    if not passed:
        yield f"  {printable(drill.reason)}"
    yield f"  point {drilled.point or 'none'} out of {drilled.repository}, by the kit's own script"
    if passed:
        rto = duration_words(promised.rto)
        yield f"  {rto} are promised until people work again; this was data only, without people"
    yield "  rows were counted and queries asked; checksums of rows: `dro test` compares those"
