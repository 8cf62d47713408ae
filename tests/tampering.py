"""Ways to damage a folder of runs, drawn from a seeded generator."""

import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from avrobust.analyses.outcomes import write_outcome
from avrobust.analyses.surface.analysis import ANALYSIS
from tests.results import put
from tests.test_surface import outcome

HOSTILE: tuple[Any, ...] = (
    None, True, 0, -1, -1.5, 2**31, 10**400, 1e308, "", "1", "nan", "..", "../../x", "/etc/passwd",
    "=1+1", "a|b", "<b>", "a\0b", "\udcff".encode("utf-8", "surrogatepass").hex(), "x" * 5000,
    "${oc.env:HOME}", "line\nbreak\r", [], {}, [[]], [None], {"_target_": "os.system"},
    {"_args_": [1]}, ["audio", "audio"],
)  # fmt: skip


class Runs:
    """A folder of runs with a run to be damaged, a run that stays whole, a sweep, an analysis."""

    def __init__(self, attacked: Path, root: Path) -> None:
        shutil.copytree(attacked, root, ignore=shutil.ignore_patterns("*.ckpt", ".lock"))
        self.root = root
        (self.run,) = (root / "attack").iterdir()
        (self.training,) = (root / "train").iterdir()
        write_outcome(ANALYSIS, self.run, outcome())
        self.whole = put(root, (90, 50, 40, 10), "attack=mim").run_id
        sweep = root / "sweeps" / "table1-0"
        sweep.mkdir(parents=True)
        jobs = [["seed=0"], ["seed=1"]]
        content = {"name": "table1", "command": "python attack.py -m", "jobs": jobs}
        (sweep / "sweep.json").write_text(json.dumps(content))
        job = {"number": 0, "overrides": [], "state": "done", "folder": str(self.run)}
        job |= {"started": 1.0, "seconds": 2.0, "host": "here", "pid": 3}
        (sweep / "0.json").write_text(json.dumps(job))
        (root / "sweeps" / "whole-0").mkdir()
        (root / "sweeps" / "whole-0" / "sweep.json").write_text(json.dumps(content))
        running = {**job, "number": 1, "state": "running", "host": os.uname().nodename}
        (sweep / "1.json").write_text(json.dumps(running))

    def files(self) -> list[Path]:
        """What may be damaged, the more telling files several times."""
        sweep = self.root / "sweeps" / "table1-0"
        names = ("sweep.json", "0.json", "1.json")
        beside = [self.run / name for name in ("examples.csv", "examples.npz", "surface.json")]
        result = self.run / "result.json"
        training = [self.training / name for name in ("result.json", "metrics.csv")]
        return [result, result, result, *beside, *training, *(sweep / name for name in names)]


def tamper(runs: Runs, rng: random.Random) -> str:
    """Damages one file in one way; what was done, for the message of a failing test."""
    path = rng.choice(runs.files())
    ways = [_truncate, _binary, _remove, _folder, _loop, _empty]
    if path.suffix == ".json":
        ways += [_change_value] * 12 + [_delete_key] * 4 + [_deep]
    if path.suffix == ".csv":
        ways += [_change_cell] * 4
    way = rng.choice(ways)
    return f"{path.name}: {way.__name__} {way(path, rng) or ''}"


def _truncate(path: Path, rng: random.Random) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: rng.randrange(len(content))])


def _binary(path: Path, rng: random.Random) -> None:
    content = bytearray(path.read_bytes())
    for _ in range(rng.choice((1, 3, 400))):
        content[rng.randrange(len(content))] = rng.randrange(256)
    path.write_bytes(content)


def _remove(path: Path, rng: random.Random) -> None:
    path.unlink()


def _empty(path: Path, rng: random.Random) -> None:
    path.write_bytes(b"")


def _folder(path: Path, rng: random.Random) -> None:
    path.unlink()
    path.mkdir()


def _loop(path: Path, rng: random.Random) -> None:
    path.unlink()
    path.symlink_to(path.name)


def _deep(path: Path, rng: random.Random) -> None:
    levels = rng.choice((60, 100_000))
    path.write_text('{"schema":' * levels + "1" + "}" * levels)


def _change_value(path: Path, rng: random.Random) -> str:
    value = rng.choice(HOSTILE)

    def change(holder: Any, key: Any) -> None:
        holder[key] = value

    return f"{_at_random(path, rng, change)} = {str(value)[:40]!r}"


def _delete_key(path: Path, rng: random.Random) -> str:
    def delete(holder: Any, key: Any) -> None:
        del holder[key]

    return _at_random(path, rng, delete)


def _change_cell(path: Path, rng: random.Random) -> str:
    lines = path.read_text().splitlines()
    number = rng.randrange(len(lines))
    cells = lines[number].split(",")
    place = rng.randrange(len(cells))
    cells[place] = rng.choice(("", "-1", "nan", "=1+1", '"', "x,y", "a\0b", "9" * 200_000))
    lines[number] = ",".join(cells)
    path.write_text("\n".join(lines) + "\n")
    return f"row {number}, column {place} = {cells[place][:20]!r}"


def _at_random(path: Path, rng: random.Random, change: Callable[[Any, Any], None]) -> str:
    """Changes one place of a JSON file."""
    content = json.loads(path.read_text())
    place, holder, key = rng.choice(list(_places(content)))
    change(holder, key)
    path.write_text(json.dumps(content))
    return place


def _places(content: Any, prefix: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Every place of a JSON tree: its path, what holds it, and its key there."""
    keys = content if isinstance(content, dict) else range(len(content))
    for key in keys:
        place = f"{prefix}.{key}"
        yield place, content, key
        if isinstance(content[key], dict | list):
            yield from _places(content[key], place)
