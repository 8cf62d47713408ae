"""Options from outside the repository: the example project, used as its README says."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from avrobust.cli.main import main
from avrobust.experiments.results import EvaluationResult
from tests.results import evaluations
from tests.support import PROJECT, run_script

MY_LAB = PROJECT / "examples" / "my_lab"
OPTIONS = ("--config-dir", str(MY_LAB / "configs"), "allow=[my_lab]")


@pytest.fixture(scope="module", autouse=True)
def _installed() -> Iterator[None]:
    """The project's package can be imported, as if it were installed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(MY_LAB), prepend=os.pathsep)
        yield


class Swept(NamedTuple):
    runs: Path
    results: list[EvaluationResult]
    done: subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def swept(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Swept:
    """The project's sweep, cut to one model, in joblib's worker processes."""
    folder = tmp_path_factory.mktemp("my lab")
    done = run_script(
        *("attack.py", *OPTIONS, "sweep=my_table", f"dataset.root={prepared}"),
        *("fusion=low_rank", "defense=noise", f"runs={folder / 'runs'}", "trainer=cpu"),
        *("hydra/launcher=joblib", "hydra.launcher.n_jobs=1", "training.epochs=1"),
        "training.milestones=[]",
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    return Swept(folder / "runs", evaluations(folder / "runs"), done)


def test_the_sweep_gives_a_run_for_each_attack_with_the_projects_names(swept: Swept) -> None:
    assert len(swept.results) == 2
    names = [result.run_id.rsplit("-", 1)[0] for result in swept.results]
    assert sorted(names) == [
        f"my_clips-low_rank-noise-{attack}-paper-0.006-s0" for attack in ("fgsm", "halving")
    ]
    assert len(list(swept.runs.glob("train/*/result.json"))) == 1


def test_the_attack_keeps_its_budget_and_counts_its_gradients(swept: Swept) -> None:
    (halving,) = [one for one in swept.results if one.settings.attack.name == "halving"]
    assert halving.attack.bounded
    audio, *_ = halving.attacked
    assert 0 < audio.largest_distance["audio"] <= 0.006 + 1e-6
    assert audio.cost is not None
    assert audio.cost.gradients == 4


def test_the_condition_is_evaluated_and_counts_into_no_average(swept: Swept) -> None:
    for result in swept.results:
        *_, muted = result.conditions
        assert (muted.name, muted.modalities, muted.adversarial) == ("muted", ("audio",), False)
        assert muted.largest_distance["audio"] > 0.1
        assert muted.largest_distance["visual"] == 0
        attacked = [result.accuracy[name] for name in ("audio", "visual", "audiovisual")]
        assert result.average == pytest.approx(sum(attacked) / 3)


def test_the_rows_are_in_the_table_and_on_the_page(
    swept: Swept, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", "--runs", str(swept.runs)]) == 0
    rows = [
        [cell.strip() for cell in line.split("|")] for line in capsys.readouterr().out.splitlines()
    ]
    page = (swept.runs / "report" / "index.html").read_text()
    (head,) = [row for row in rows if "clean" in row]
    column = head.index("muted")
    for attack in ("fgsm", "halving"):
        (row,) = [row for row in rows if attack in row]
        assert {"my_clips", "low_rank", "noise"} <= set(row)
        assert row[column].split()[0].replace(".", "").isdigit()
        assert f"my_clips-low_rank-noise-{attack}-paper" in page


def test_the_page_shows_the_condition(swept: Swept) -> None:
    page = (swept.runs / "report" / "index.html").read_text()
    assert '<th scope="col" class="num"><button type="button">muted</button></th>' in page
    classes = page.split('id="classes"')[1].split("</section>")[0]
    assert '<th class="num">muted</th>' in classes


def test_help_lists_the_projects_options_beside_ours() -> None:
    shown = run_script("attack.py", *OPTIONS, "--help", timeout=20).stdout
    listed = {line.split()[0]: line.split()[1:] for line in shown.splitlines() if line.split()}
    assert {"low_rank", "concat*"} <= set(listed["fusion"])
    assert {"halving", "pgd*"} <= set(listed["attack"])
    assert {"noise", "none*"} <= set(listed["defense"])
    assert {"my_clips", "synthetic*"} <= set(listed["dataset"])
    assert {"my_table", "table1"} <= set(listed["sweep"])


def test_the_shell_completes_the_projects_options() -> None:
    line = f"python attack.py --config-dir {MY_LAB / 'configs'} attack=hal"
    done = subprocess.run(
        [sys.executable, str(PROJECT / "attack.py"), "-sc", "query=bash"],
        env={**os.environ, "COMP_LINE": line},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["attack=halving"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            (*OPTIONS, "fusion=low_rang"),
            "fusion=low_rang: no such option; choices: attention, audio_only, concat, film, "
            "gated_concat, gated_sum, low_rank, sum, visual_only",
        ),
        (
            (*OPTIONS, "fusion=low_rank", "fusion.ranks=3"),
            "fusion.ranks: no such key; did you mean rank?",
        ),
        (("--config-dir", "nowhere"), "--config-dir nowhere: no such folder"),
    ],
)
def test_mistakes_are_one_line(arguments: tuple[str, ...], expected: str, tmp_path: Path) -> None:
    done = run_script("train.py", *arguments, f"runs={tmp_path}")
    assert done.returncode == 2
    assert done.stderr.startswith(f"train.py: {expected}")
    assert done.stderr.count("\n") == 1


def test_an_option_with_the_name_of_one_of_ours_is_refused(tmp_path: Path) -> None:
    # Hydra would take ours without a word.
    (tmp_path / "fusion").mkdir()
    (tmp_path / "fusion" / "concat.yaml").write_text("_target_: my_lab.fusion.LowRankBilinear\n")
    done = run_script("train.py", f"--config-dir={tmp_path}", "fusion=concat")
    assert done.returncode == 2
    assert "fusion/concat.yaml has the same name and would be used instead" in done.stderr
    assert done.stderr.count("\n") == 1
