"""What is computed of a run that is finished already: its config, and the files that are added to its folder."""

import json
from pathlib import Path

from avrobust.errors import UserError
from avrobust.tasks.parts import Config
from avrobust.utils.files import atomic_write


def config_of(folder: Path) -> Config:
    """The config of a finished attack or defense, whose folder may have moved since.

    Raises:
        UserError: there is none in `folder`, or its clips were made on another model.
    """
    path = folder / "result.json"
    if folder.resolve().parent.name not in ("attack", "defend") or not path.is_file():
        raise UserError(f"{folder}: not the folder of a finished attack, such as runs/attack/RUN")
    result = json.loads(path.read_text(encoding="utf-8"))
    if "white_box" in result:
        raise UserError(
            f"{folder}: its clips were made on another model; give a run that attacks the model itself"
        )
    here = {
        "runs": str(folder.resolve().parents[1]),
        "force": False,
        "logger": None,
    }  # nothing new to follow
    return {**result["config"], **here}


def write(path: Path, text: str) -> None:
    """Writes a file whole."""
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
