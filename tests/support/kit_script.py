"""`dro-kit.py` as a module: nothing of ours imports it, so tests load it by its path."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__).parents[2] / "dr_orchestrator/runbook/kit/script/dro-kit.py"


def load_script() -> Any:
    """Return the script as a module, without running it."""
    spec = importlib.util.spec_from_file_location("dro_kit_script", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look there for the names of types
    written, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        spec.loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = written
    return module
