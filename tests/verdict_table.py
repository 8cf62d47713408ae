"""A table of what the verdict says of honest models and of planted fakes.

    python -m tests.verdict_table                            the tiny model of the tests; minutes
    python -m tests.verdict_table --runs RUNS --data ROOT    trained models of the embedded set

"left" is the share of clips that the model keeps under the attack, "truth" what the same attack
leaves with the true gradients. A row is wrong where a fake is trusted although the attack misses
the truth by more than 10 points, or where an honest model is accused.
"""

import argparse
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

import torch
from torch import nn

from avrobust.analyses.verdict.compute import judge
from avrobust.attacks.av_auto import AVAuto
from avrobust.evaluation.evaluate import evaluate
from avrobust.evaluation.summaries import summarize
from avrobust.experiments.build import build
from avrobust.models.folding import folded
from avrobust.tasks.loaded import load_trained
from avrobust.tasks.setup import build_parts
from avrobust.tasks.train import trained as trained_run
from avrobust.threats import Threat, suite
from avrobust.types import Batch, Record
from avrobust.utils.console import out
from tests.fakes import FAKES, Planted
from tests.support import experiment_for
from tests.tiny import EPS, THREATS, tones_and_patches, trained

COUNTS = (16, 40, 104)
MISSED = 10.0  # points by which a trusted attack may miss the truth
ATTACK = AVAuto(steps=10, targets=2, queries=20)
BROAD = suite(EPS, audio=3.0, visual=2.0, units="pixel")
FAMILIES: dict[str, tuple[str, ...]] = {
    "undefended": (),
    "minsim": ("defense=minsim",),
    "pcl": ("defense=pcl",),
    "adversarial": ("defense=adversarial_fast",),
    "feature memory": ("defense=minsim_exfmem",),
    "log-mel": ("audio=logmel",),
    "attention": ("fusion=attention",),
}


class Line(NamedTuple):
    """One model at one number of clips."""

    name: str
    n: int
    condition: str
    left: float  # in percent, under the attack on the model itself
    truth: float  # in percent, under the attack with the true gradients
    trusted: bool
    reasons: tuple[str, ...]

    @property
    def wrong(self) -> bool:
        """Whether a failed attack is trusted; an honest model may not be accused at all."""
        missed = self.left - self.truth > MISSED
        honest = self.name.startswith("honest")
        return not self.trusted if honest else self.trusted and missed

    def __str__(self) -> str:
        said = "trusted" if self.trusted else "NOT trusted"
        mark = "  WRONG" if self.wrong else ""
        numbers = f"{self.n:4} {self.left:6.1f} {self.truth:6.1f}"
        why = "; ".join(self.reasons)[:110]
        return f"{self.name:32} {self.condition:11} {numbers}  {said:11}{mark}  {why}"


def line(
    name: str,
    model: nn.Module,
    batches: Sequence[Batch],
    threats: Mapping[str, Threat],
    truth: float | None = None,
) -> Line:
    """What attack and verdict say of a model under one condition."""
    (condition,) = threats
    records = attacked(model, batches, threats)
    left = summarize(records).accuracy[condition]
    verdict = judge(model, batches, threats, records)
    true_accuracy = left if truth is None else truth
    n = sum(len(batch.key) for batch in batches)
    return Line(name, n, condition, left, true_accuracy, verdict.trusted, verdict.reasons)


def attacked(
    model: nn.Module, batches: Sequence[Batch], threats: Mapping[str, Threat]
) -> list[Record]:
    """What the attack leaves, clip by clip."""
    return evaluate(model, batches, ATTACK, threats)


def fake_line(
    planted: Planted, model: nn.Module, batches: Sequence[Batch], threats: Mapping[str, Threat]
) -> Line:
    """One fake under the condition that it spoils."""
    condition = "audiovisual" if planted.spoils == "both" else planted.spoils
    one = {condition: threats[condition]}
    fake = planted.make(model).eval()
    truth = summarize(attacked(fake.honest, batches, one)).accuracy[condition]
    return line(planted.name, fake, batches, one, truth)


def honest_lines(
    name: str, model: nn.Module, batches: Sequence[Batch], threats: Mapping[str, Threat]
) -> Iterable[Line]:
    """An honest model under each condition."""
    for condition, threat in threats.items():
        yield line(f"honest {name}", model, batches, {condition: threat})


def tiny_lines(counts: Sequence[int], *, fakes: bool) -> Iterable[Line]:
    """The tiny models that the tests train."""
    for count in counts:
        batches = [tones_and_patches(count, seed=1)]
        plain, robust = trained(adversarially=False), trained(adversarially=True)
        yield from honest_lines("tiny", plain, batches, BROAD)
        yield from honest_lines("tiny adversarial", robust, batches, THREATS)
        for planted in FAKES if fakes else ():
            yield fake_line(planted, plain, batches, BROAD)


def embedded_lines(counts: Sequence[int], runs: str, data: str, *, fakes: bool) -> Iterable[Line]:
    """Models of the embedded set, trained where they are not there, and fakes of the first."""
    common = (f"runs={runs}", f"dataset.root={data}", "trainer=cpu")
    for name, overrides in FAMILIES.items():
        experiment = experiment_for("attack", *common, *overrides)
        parts = build_parts(experiment.model, experiment.execution)
        model = folded(load_trained(trained_run(experiment, parts), parts.model))
        threats: dict[str, Threat] = build("threat", experiment.evaluation.threat)
        for count in counts:
            batches = list(parts.batches("test", experiment.execution, count))
            yield from honest_lines(name, model, batches, threats)
            precision: AbstractContextManager[object] = nullcontext()
            if name == "undefended":
                precision = torch.autocast("cpu", torch.bfloat16)
                with precision:
                    yield from honest_lines("bfloat16", model, batches, threats)
                for planted in FAKES if fakes else ():
                    yield fake_line(planted, model, batches, threats)


def main() -> None:
    """Prints the table, and how many rows are wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", help="folder of trained models of the embedded set")
    parser.add_argument("--data", default="datasets/synthetic", help="the embedded set")
    parser.add_argument("--counts", type=int, nargs="+", default=COUNTS, help="clips")
    parser.add_argument("--honest", action="store_true", help="no fakes")
    chosen = parser.parse_args()
    lines: Iterable[Line] = tiny_lines(chosen.counts, fakes=not chosen.honest)
    if chosen.runs:
        lines = embedded_lines(chosen.counts, chosen.runs, chosen.data, fakes=not chosen.honest)
    wrong = total = 0
    for row in lines:
        out.print(str(row), markup=False, highlight=False, soft_wrap=True)
        wrong, total = wrong + row.wrong, total + 1
    out.print(f"{wrong} of {total} rows are wrong")


if __name__ == "__main__":
    main()
