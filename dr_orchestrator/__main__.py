"""`python -m dr_orchestrator` is `dro`."""

from dr_orchestrator.cli.main import main

main()
