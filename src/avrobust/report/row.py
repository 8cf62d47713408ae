"""One attack's row on the console: ours with its intervals, and the paper's beside it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from avrobust.evaluation.metrics import average, average_with_clean
from avrobust.experiments.identity import attack_name, split_name
from avrobust.report.paper import Published, published
from avrobust.types import STANDARD_NAMES as CONDITIONS
from avrobust.utils.console import out

HEADINGS = (
    "clean",
    "xA",
    "xV",
    "xAV",
    "Avg 3",
    "Avg 4",
    "n",
)  # Avg 4 counts clean in, as Table 2 does


def print_result(result: Mapping[str, Any], runs: Path) -> None:
    """Prints what a run found, and the folder where all of it lies, which may have moved since the run was made."""
    (_print_training if result["task"] == "train" else _print_row)(result)
    out.print(str(runs / result["task"] / result["run_id"]), markup=False)


def _print_training(result: Mapping[str, Any]) -> None:
    table = Table(
        "split", "accuracy %", "n", title=f"{result['run_id']}, {result['epochs']} epochs"
    )
    for split, accuracy in result["accuracy"].items():
        table.add_row(split, f"{accuracy:.2f}", str(result["n"][split]))
    out.print(table)


def _print_row(result: Mapping[str, Any]) -> None:
    """An attack's row as a table, and what a reader has to know about it."""
    table = Table("", box=SIMPLE_HEAD, title=title(result), title_justify="left")
    for heading in HEADINGS:
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_row("ours", *_accuracies(result), str(result["n"]))
    table.add_row("95 %", *_intervals(result))
    if "against" in result:
        _add_comparison(table, result)
    if row := published(result["config"]):
        table.add_row(f"paper, Table {row.table}", *_published(row))
    out.print(table)
    for note in notes(result):
        out.print(note)


def _add_comparison(table: Table, result: Mapping[str, Any]) -> None:
    """The undefended model's row, and how sure the difference is on the same clips."""
    against = result["against"]["accuracy"]
    values = [against[c] for c in CONDITIONS] + [average(against), average_with_clean(against)]
    table.add_row("undefended", *map(_percent, values))
    table.add_row("McNemar p", *(f"{result['mcnemar'][c]:.2g}" for c in CONDITIONS))


def title(result: Mapping[str, Any]) -> str:
    """What was attacked and how, in a line."""
    config, choices = result["config"], result["config"]["choices"]
    attack = f"{attack_name(config)}, threat {choices['threat']}, eps {config['eps']:g}, {split_name(config)} split"
    defended = "" if choices["defense"] == "none" else f" + {choices['defense']}"
    return f"{choices['dataset']}, {choices['fusion']}{defended}: {attack}"


def notes(result: Mapping[str, Any]) -> list[str]:
    """Remarks without which the row would mislead."""
    found = []
    if "ri" in result:
        rows = (
            f"{name} {average(accuracy):.2f}" for name, accuracy in result["objectives"].items()
        )
        epochs = f"{result['epochs']} epochs against its {result['against']['epochs']}"
        found.append(f"RI {result['ri']:+.2f} against the undefended model, trained for {epochs}")
        found.append(f"attacked on ({result['config']['adaptive']}): Avg {', '.join(rows)}")
    found += [*_reached(result), *_transfer(result), *_verdict(result)]
    if not result["bounded"]:
        distance = result["largest_distance"]
        moved = f"audio by {distance['audio']:.4g}, frames by {distance['visual']:.4g}"
        found.append(f"NOT eps-bounded: this attack moved {moved} in the units of eps")
    if result["skipped"]:
        first = result["skipped"][0]
        found.append(
            f"{len(result['skipped'])} clips could not be read, first {first['key']}: {first['reason']}"
        )
    return found


def _reached(result: Mapping[str, Any]) -> list[str]:
    """How many clips a targeted attack has brought where it wanted them, which is less than that the model errs."""
    shares = (
        f"{condition} {x['share']:.2f} % ({x['low']:.0f} to {x['high']:.0f})"
        for condition, x in result.get("reached", {}).items()
    )
    text = ", ".join(shares)
    return [f"ended in the wanted class ({result['config']['target']}): {text}"] if text else []


def _transfer(result: Mapping[str, Any]) -> list[str]:
    """What clips made on the attacked model itself leave, for a row whose clips were made on another."""
    if "white_box" not in result:
        return []
    own = result["white_box"]
    return [
        f"clips made on {result['source']}; made on the attacked model itself: Avg {average(own['accuracy']):.2f}",
        *(
            f"the white-box attack ({own['run_id']}) is NOT trusted: {text}"
            for text in own["reasons"]
        ),
    ]


def _verdict(result: Mapping[str, Any]) -> list[str]:
    """What felled the clips, and whether the attack is to be trusted; nothing for attacks that do not say."""
    found = []
    for condition, counts in result.get("felled", {}).items():
        found.append(
            f"{condition} felled by {', '.join(f'{name} {count}' for name, count in counts.items())}"
        )
    found += [f"left out: {reason}" for reason in result.get("left_out", [])]
    verdict = result.get("verdict")
    if verdict is None:
        return found
    if verdict["trusted"]:
        return [*found, "verdict: trusted; no check found a sign of masked gradients"]
    return [
        *found,
        "verdict: NOT trusted; the attack may have failed where the model looks robust",
        *verdict["reasons"],
    ]


def _accuracies(result: Mapping[str, Any]) -> list[str]:
    values = [result["accuracy"].get(c) for c in CONDITIONS]
    return [_percent(v) for v in (*values, result["average"], result["average_with_clean"])]


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _intervals(result: Mapping[str, Any]) -> list[str]:
    bounds = [result["interval"].get(c) for c in CONDITIONS]
    return [f"{b[0]:.0f} to {b[1]:.0f}" if b else "" for b in bounds]


def _published(row: Published) -> list[str]:
    values = [row.accuracy[c] for c in CONDITIONS]
    return [_percent(v) for v in (*values, average(row.accuracy), average_with_clean(row.accuracy))]
