"""The commands that analyze finished runs. Each analysis brings its own, such as `surface`."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from avrobust.analyses.base import Analysis
from avrobust.analyses.discover import discover

RUN = Parameter(help="folder of a finished attack or defense, such as runs/attack/RUN")
ALLOW = Parameter(help="packages of your own whose classes the run uses, such as my_lab")
Packages = Annotated[tuple[str, ...], ALLOW]


def add_analyses(app: App) -> None:
    """Adds a command for every analysis to the program."""
    for analysis in discover().values():
        app.command(_command(analysis), name=analysis.name, help=analysis.help)


def _command(analysis: Analysis[Any, Any]) -> Callable[..., None]:
    """A function whose parameters are the analysis's settings; cyclopts makes options of them."""

    def several(
        runs: Annotated[list[Path], RUN], /, *, settings: Any, allow: Packages = ()
    ) -> None:
        _analyze(analysis, runs, settings, allow)

    def one(run: Annotated[Path, RUN], /, *, settings: Any, allow: Packages = ()) -> None:
        _analyze(analysis, [run], settings, allow)

    command = several if analysis.several else one
    defaults = analysis.settings()
    command.__kwdefaults__ = {"settings": defaults, "allow": ()}
    # The name "*" spreads the fields of a dataclass over as many options.
    command.__annotations__["settings"] = Annotated[analysis.settings, Parameter(name="*")]
    return command


def _analyze(
    analysis: Analysis[Any, Any], folders: list[Path], settings: Any, packages: tuple[str, ...]
) -> None:
    from avrobust.experiments.targets import allow
    from avrobust.tasks.analyze import finished_evaluation, run_analysis

    allow(packages)
    for folder in folders:
        # Refuses a wrong folder before hours of work on the others.
        analysis.validate(finished_evaluation(folder), settings)
    for folder in folders:
        run_analysis(analysis, folder, settings)
