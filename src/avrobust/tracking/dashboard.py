"""A W&B workspace and a W&B report of what `logger=wandb` publishes.

What is on them is written as data, apart from how they are made. The package that makes them,
wandb-workspaces, is an extra and is imported when it is needed.
"""

from types import ModuleType
from typing import Any, NamedTuple

from avrobust.errors import UserError
from avrobust.tracking.wandb import default_entity, logged_in, reached

# Names as `tracking` publishes them. Of the config:
CHOICES = {
    "data set": "choices.dataset",
    "fusion": "choices.fusion",
    "defense": "choices.defense",
    "attack": "choices.attack",
    "threat": "choices.threat",
    "eps": "eps",
}
# of the summary, accuracies in percent:
SCORES = {"clean": "clean", "xA": "audio", "xV": "visual", "xAV": "audiovisual", "Avg": "average"}
MORE = ("ri", "n", "bounded", "verdict")
# and of a training, by epoch:
CURVES = {"accuracy in %": ("train/accuracy", "val/accuracy"), "loss": ("train/loss", "val/loss")}

TITLE = "Audio-visual robustness"
TRAININGS, ATTACKS = "Metric('JobType') = 'train'", "Metric('JobType') in ['attack', 'defend']"
COLUMNS = [
    "run:displayName",
    *(
        f"config:{head}.value{dot}{rest}"
        for head, dot, rest in (name.partition(".") for name in CHOICES.values())
    ),
    *(f"summary:{name}" for name in (*SCORES.values(), *MORE)),
]  # of the robustness table


class Dashboard(NamedTuple):
    """Where it can be looked at."""

    workspace: str
    report: str


def publish_dashboard(project: str, entity: str | None) -> Dashboard:
    """Makes a new workspace view and a new report of a project.

    Args:
        project: of W&B.
        entity: the user or team it belongs to; None is the user's own default.

    Raises:
        UserError: wandb-workspaces is not installed, nobody is logged in, or W&B cannot be reached.
    """
    _library()
    if not logged_in():
        raise UserError("dashboard: not logged in to W&B; run `wandb login`, then this again")
    with reached():
        owner = entity or default_entity()
        return Dashboard(
            workspace(project, owner).save().url, wandb_report(project, owner).save().url
        )


def workspace(project: str, entity: str) -> Any:
    """The workspace, not saved yet: the table of runs, sections of robustness and of trainings."""
    wr, ws = _library()
    return ws.Workspace(
        entity=entity,
        project=project,
        name=TITLE,
        sections=[
            ws.Section(name="Robustness", panels=_robustness(wr), is_open=True),
            ws.Section(name="Trainings", panels=_trainings(wr), is_open=True),
        ],
        runset_settings=ws.RunsetSettings(pinned_columns=list(COLUMNS)),
    )


def wandb_report(project: str, entity: str) -> Any:
    """The report, not saved yet.

    It has a robustness table and plots of attacks and defenses, kept clips, and learning curves.
    """
    wr, _ = _library()

    def grid(name: str, filters: str, panels: list[Any], columns: list[str]) -> Any:
        shown = {"pinned_columns": columns, "lock_columns": bool(columns) or None}
        runs = wr.Runset(entity=entity, project=project, name=name, filters=filters, **shown)
        return wr.PanelGrid(runsets=[runs], panels=panels)

    return wr.Report(
        entity=entity,
        project=project,
        title=TITLE,
        description=(
            "How robust audio-visual classifiers are when audio, video or both are attacked; "
            "made by avrobust."
        ),
        width="fluid",
        blocks=[
            wr.H1("Robustness"),
            wr.P(
                "Accuracy in percent: clean, and with the audio (xA), the video (xV) "
                "or both (xAV) attacked."
            ),
            grid("attacks and defenses", ATTACKS, _robustness(wr), list(COLUMNS)),
            wr.H1("Clips, clean and attacked"),
            grid("kept clips", ATTACKS, [wr.WeavePanelSummaryTable(table_name="examples")], []),
            wr.H1("Trainings"),
            grid("trainings", TRAININGS, _trainings(wr), []),
        ],
    )


def _robustness(wr: ModuleType) -> list[Any]:
    """The plots of robustness.

    Parallel coordinates from the choices to the scores; accuracy over eps; each fusion and defense
    on average.
    """
    axes = [
        *(wr.Config(name) for name in CHOICES.values()),
        *(wr.SummaryMetric(name) for name in SCORES.values()),
    ]
    columns = [
        wr.ParallelCoordinatesPlotColumn(metric=axis, display_name=title)
        for title, axis in zip((*CHOICES, *SCORES), axes, strict=True)
    ]
    attacked = {title: name for title, name in SCORES.items() if title.startswith("x")}
    over_eps = [
        wr.ScatterPlot(
            title=f"{title} over eps",
            x=wr.Config("eps"),
            y=wr.SummaryMetric(name),
            range_y=(0, 100),
        )
        for title, name in attacked.items()
    ]
    bars = [
        wr.BarPlot(
            title=f"mean accuracy by {title}",
            metrics=[wr.SummaryMetric(name) for name in SCORES.values()],
            groupby=wr.Config(CHOICES[title]),
            groupby_aggfunc="mean",
            groupby_rangefunc="stddev",
            range_x=(0, 100),
        )
        for title in ("fusion", "defense")
    ]
    return _placed(
        wr, [wr.ParallelCoordinatesPlot(title="From choices to accuracy", columns=columns)], 24
    ) + _placed(wr, [*over_eps, *bars], 8, row=10)


def _trainings(wr: ModuleType) -> list[Any]:
    lines = [
        wr.LinePlot(title=title, x="epoch", y=list(names), title_y=title)
        for title, names in CURVES.items()
    ]
    return _placed(wr, lines, 12)


def _placed(wr: ModuleType, panels: list[Any], width: int, row: int = 0) -> list[Any]:
    """Panels side by side, of a grid that is 24 wide."""
    across = 24 // width
    for i, panel in enumerate(panels):
        panel.layout = wr.Layout(x=width * (i % across), y=row + 8 * (i // across), w=width, h=8)
    return panels


def _library() -> tuple[ModuleType, ModuleType]:
    """wandb-workspaces: its reports and its workspaces.

    Raises:
        UserError: it is not installed.
    """
    try:
        import wandb_workspaces.reports.v2 as wr
        import wandb_workspaces.workspaces as ws
    except ImportError as error:
        raise UserError(
            f"dashboard needs wandb-workspaces ({error}); pip install 'avrobust[dashboard]'"
        ) from None
    return wr, ws
