"""decord, imported so that it leaves the libraries of other packages alone.

On import decord opens every NVIDIA library that pip has installed, for all of the process.
libnvblas is one of them: its matrix product then takes the place of torch's and crashes without a
GPU. decord looks for these libraries in the package `nvidia`, and does without if there is none.
"""

import importlib
import sys
from types import ModuleType


def _import_decord() -> ModuleType:
    package = sys.modules.get("nvidia")
    sys.modules["nvidia"] = None  # type: ignore[assignment]  # an import then finds no such package
    try:
        return importlib.import_module("decord")
    finally:
        if package is None:
            del sys.modules["nvidia"]
        else:
            sys.modules["nvidia"] = package


decord = _import_decord()
