"""`import avrobust as avr`: the public names, loaded when they are used."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

import avrobust as avr

# Names that users' programs rely on. A new one may be added to `__init__.pyi`, none may go.
PROMISED = (
    "Condition Clip Batch Record evaluate summarize suite Threat judge UserError __version__ Attack"
)


def printed(code: str) -> str:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_the_ten_lines_of_a_user() -> None:
    head = torch.nn.Linear(2, 3)

    def model(clip: avr.Clip) -> torch.Tensor:
        features = [clip.audio.std((1, 2)), clip.visual.mean((1, 2, 3, 4))]
        return head(torch.stack(features, 1))

    clip = avr.Clip(torch.rand(8, 1, 512) * 2 - 1, torch.rand(8, 1, 3, 16, 16))
    batches = [avr.Batch(clip, torch.arange(8) % 3, tuple("abcdefgh"))]
    records = avr.evaluate(model, batches, avr.PGD(), avr.suite(8 / 255))
    accuracy = avr.summarize(records).accuracy
    assert len(records) == 8 * 4
    assert accuracy["audiovisual"] <= accuracy["clean"]


@pytest.mark.parametrize("name", PROMISED.split())
def test_every_promised_name_is_listed_and_can_be_imported(name: str) -> None:
    assert name in dir(avr)
    assert getattr(avr, name) is not None


def test_every_listed_name_is_what_it_is_called() -> None:
    for name in set(dir(avr)) - {"__version__"}:
        assert getattr(avr, name).__name__ == name


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="PDG"):
        _ = avr.PDG  # type: ignore[attr-defined]


def test_importing_the_package_and_listing_its_names_loads_no_torch() -> None:
    code = "import sys, avrobust as avr; dir(avr); avr.UserError; avr.__version__"
    assert printed(f"{code}; print('torch' in sys.modules)") == "False"


@pytest.mark.slow
def test_type_checkers_see_the_names(tmp_path: Path) -> None:
    api = pytest.importorskip("mypy.api")
    program = tmp_path / "program.py"
    program.write_text(
        "import avrobust as avr\nreveal_type(avr.PGD())\navr.suite('a lot')\navr.nothing\n",
    )
    out, _, _ = api.run(["--strict", "--follow-imports=silent", str(program)])
    assert 'Revealed type is "avrobust.attacks.pgd.PGD"' in out
    assert 'Argument 1 to "suite" has incompatible type "str"; expected "float"' in out
    assert 'Module has no attribute "nothing"' in out
