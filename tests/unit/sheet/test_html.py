from __future__ import annotations

from dr_orchestrator.sheet.html import tied


def test_tied_keeps_numbers_and_units_on_one_line() -> None:
    text = "On 21 November: 41 min + 3 h 30 min, 1 hour 12 minutes, 4 systems, 12 tables"
    assert tied(text).split(" ") == [
        "On",
        "21\N{NO-BREAK SPACE}November:",
        "41\N{NO-BREAK SPACE}min",
        "+",
        "3\N{NO-BREAK SPACE}h\N{NO-BREAK SPACE}30\N{NO-BREAK SPACE}min,",
        "1\N{NO-BREAK SPACE}hour\N{NO-BREAK SPACE}12\N{NO-BREAK SPACE}minutes,",
        "4\N{NO-BREAK SPACE}systems,",
        "12",
        "tables",
    ]
