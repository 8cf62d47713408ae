"""Finds the analyses: those of this package and those that other packages bring.

Another package brings its own in one of two ways; both name a module that has an object `ANALYSIS`:

- installed: an entry point of the group `avrobust.analyses`;
- without installation: the environment variable AVROBUST_ANALYSES, names separated by commas.
"""

import os
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from avrobust.analyses.base import Analysis
from avrobust.errors import UserError

ENTRY_POINTS = "avrobust.analyses"
VARIABLE = "AVROBUST_ANALYSES"


def discover() -> dict[str, Analysis[Any, Any]]:
    """Every analysis by the name of its command; imports no torch.

    Raises:
        UserError: a module that the environment names has no analysis, or two have one name.
    """
    return _discover(os.environ.get(VARIABLE, ""))


@cache
def _discover(names: str) -> dict[str, Analysis[Any, Any]]:
    modules = []
    for path in sorted(Path(__file__).parent.glob("*/analysis.py")):
        modules.append(import_module(f"avrobust.analyses.{path.parent.name}.analysis"))
    modules += [entry.load() for entry in entry_points(group=ENTRY_POINTS)]
    modules += [_named(name.strip()) for name in names.split(",") if name.strip()]
    analyses: dict[str, Analysis[Any, Any]] = {}
    for module in modules:
        analysis = module.ANALYSIS
        if analysis.name in analyses:
            raise UserError(f"{module.__name__}: there is an analysis {analysis.name} already")
        analyses[analysis.name] = analysis
    return analyses


def _named(name: str) -> ModuleType:
    try:
        module = import_module(name)
    except ImportError as error:
        raise UserError(f"{VARIABLE}={name}: cannot be imported ({error})") from None
    if not isinstance(getattr(module, "ANALYSIS", None), Analysis):
        raise UserError(f"{VARIABLE}={name}: has no ANALYSIS")
    return module
