"""The scheduler's own log: events on stderr, for a person at a terminal and for the journal.

Events name ids, outcomes and our own sentences. Nothing that a program printed goes in.
"""

from __future__ import annotations

from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, FilteringBoundLogger

from dr_orchestrator.clock import Clock


def scheduler_log(stream: TextIO, clock: Clock) -> FilteringBoundLogger:
    """Return a log to `stream`: aligned for a terminal, else one JSON object a line."""

    def stamp(_logger: Any, _name: str, event: EventDict) -> EventDict:
        return {"at": clock.now().isoformat(timespec="seconds"), **event}

    processors: list[Any] = [
        structlog.processors.add_log_level,
        stamp,
        structlog.dev.ConsoleRenderer(colors=False)
        if stream.isatty()
        else structlog.processors.JSONRenderer(ensure_ascii=False),
    ]
    log: FilteringBoundLogger = structlog.wrap_logger(
        structlog.PrintLogger(stream),
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger("info"),
        cache_logger_on_first_use=True,
    )
    return log
