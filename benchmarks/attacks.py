"""An evaluation at the paper's size against a plain loop, and against the least time it could take.

    python benchmarks/attacks.py --batch 8 --repeats 2

Plain loop: as the released code goes about it. For each of four conditions (clean, audio, visual,
both) a clean forward pass (FGSM takes it from its gradient's), for each step a forward and a
backward pass through everything with parameters that ask for gradients, and a forward pass on the
outcome; 1-D convolutions, BatchNorm apart, contiguous memory. Ours:
`avrobust.evaluation.evaluate.evaluate` on the model as attack.py builds and folds it, records and
budget checks included. Floor: the passes that cannot be left out, at the speed of a bare forward
and input-gradient pass of our folded nets, the fastest seen of several. Everything in one process,
interleaved, medians; both sides' clean logits are compared first.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import resnet18

from avrobust.attacks.base import Attack
from avrobust.attacks.fgsm import FGSM
from avrobust.attacks.mim import MIM
from avrobust.attacks.pgd import PGD
from avrobust.evaluation.evaluate import EvaluationCache, evaluate
from avrobust.models.classifier import AVClassifier
from avrobust.models.encoders.resnet import ResNet
from avrobust.models.encoders.waveform import Waveform
from avrobust.models.folding import folded
from avrobust.models.fusion.concat import Concat
from avrobust.threats import suite
from avrobust.types import IMAGENET_MEAN, IMAGENET_STD, Batch, Clip

EPS, STEPS, CLASSES = 0.006, 10, 11
SEVERAL = 10  # eps values of a sweep
FLOOR_TRIES = 3


class Plain(nn.Module):
    """The paper's classifier, written down without a thought for speed."""

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for i, o in ((1, 64), (64, 128), (128, 256), (256, 512)):
            for inputs in (i, o):
                layers += [
                    nn.Conv1d(inputs, o, 3, stride=2, padding=1),
                    nn.BatchNorm1d(o),
                    nn.ReLU(),
                ]
            layers.append(nn.MaxPool1d(2))
        self.audio = nn.Sequential(*layers)
        self.visual = resnet18()
        self.visual.fc = nn.Identity()
        self.head = nn.Linear(1024, CLASSES)
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(3, 1, 1))

    def forward(self, audio: Tensor, visual: Tensor) -> Tensor:
        features = self.visual((visual - self.mean) / self.std)
        logits: Tensor = self.head(torch.cat([self.audio(audio).amax(2), features], 1))
        return logits


def same_weights(plain: Plain) -> AVClassifier:
    """Our model with the plain one's weights, in the memory layout that training leaves it in."""
    audio, visual = Waveform(), ResNet()
    model = AVClassifier(audio, visual, Concat(audio_dim=512, visual_dim=512), classes=CLASSES)
    for ours, theirs in (
        (audio.state_dict(), plain.audio.state_dict()),
        (visual.net.state_dict(), plain.visual.state_dict()),
    ):
        for mine, value in zip(ours.values(), theirs.values(), strict=True):
            mine.copy_(value.view_as(mine))
    model.head.load_state_dict(plain.head.state_dict())
    model.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model


def plain_loop(
    model: Plain,
    clip: Clip,
    label: Tensor,
    steps: int,
    conditions: tuple[tuple[bool, bool], ...],
    momentum: bool = False,
) -> None:
    std = model.std
    for move_audio, move_visual in conditions:
        audio, visual = clip.audio.clone(), clip.visual[:, 0].clone()
        if steps > 1:
            model(audio, visual)
        grown = [torch.zeros_like(audio), torch.zeros_like(visual)]
        for _ in range(steps):
            audio.requires_grad_(True)
            visual.requires_grad_(True)
            model.zero_grad()
            F.cross_entropy(model(audio, visual), label).backward()  # type: ignore[no-untyped-call]
            assert audio.grad is not None
            assert visual.grad is not None
            found = [audio.grad, visual.grad]
            if momentum:
                found = [
                    m + g / g.abs().sum((1, *range(2, g.ndim)), keepdim=True)
                    for m, g in zip(grown, found, strict=True)
                ]
                grown = found
            size = EPS if steps == 1 else EPS / 8
            with torch.no_grad():
                if move_audio:
                    audio = (
                        clip.audio + (audio + size * found[0].sign() - clip.audio).clamp(-EPS, EPS)
                    ).clamp(-1, 1)
                if move_visual:
                    start, change = (
                        clip.visual[:, 0],
                        visual + size * std * found[1].sign() - clip.visual[:, 0],
                    )
                    visual = (start + change.clamp(-EPS * std, EPS * std)).clamp(0, 1)
            audio, visual = audio.detach(), visual.detach()
        model(audio, visual).argmax(1)


class Case(NamedTuple):
    """One evaluation done both ways, the bare passes that it needs, the ratio wanted."""

    theirs: Callable[[], object]
    ours: Callable[[], object]
    needed: dict[str, int]
    wanted: float
    times: int = 1  # that the plain way has to be gone; it is timed once


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    given = parser.parse_args()
    print(
        f"batch {given.batch}, {given.device}, {torch.get_num_threads()} threads, "
        f"median of {given.repeats}\n"
    )
    print(table(given.batch, given.repeats, given.device).to_markdown(index=False, floatfmt=".2f"))


def table(batch: int = 8, repeats: int = 3, device: str = "cpu") -> pd.DataFrame:
    """One line an evaluation."""
    plain, ours, clip = models(batch, device)
    return pd.DataFrame(
        measured(cases_of(plain, ours, clip), floor_passes(ours, clip), repeats, batch, device)
    )


def models(batch: int, device: str) -> tuple[Plain, AVClassifier, Clip]:
    """Both classifiers, of the same weights, and clips."""
    torch.manual_seed(0)
    plain = Plain()
    clip = Clip(torch.rand(batch, 1, 65_535) * 2 - 1, torch.rand(batch, 1, 3, 224, 224))
    plain.train()(clip.audio, clip.visual[:, 0])
    ours = folded(same_weights(plain)).to(device)
    plain, clip = plain.eval().to(device), clip.to(device)
    with torch.no_grad():
        torch.testing.assert_close(
            ours(clip), plain(clip.audio, clip.visual[:, 0]), rtol=1e-3, atol=1e-3
        )
    return plain, ours, clip


def cases_of(plain: Plain, ours: AVClassifier, clip: Clip) -> dict[str, Case]:
    device, count = clip.audio.device, len(clip.audio)
    label = torch.arange(count, device=device) % CLASSES
    batch = Batch(clip, label.cpu(), tuple(map(str, range(count))))
    threats = suite(EPS)
    four = ((False, False), (True, False), (False, True), (True, True))

    def run(
        attack: Attack, names: tuple[str, ...] = ("audio", "visual", "audiovisual")
    ) -> Callable[[], object]:
        return lambda: evaluate(
            ours, [batch], attack, {n: threats[n] for n in names}, device=device
        )

    def loop(
        steps: int, conditions: tuple[tuple[bool, bool], ...] = four, momentum: bool = False
    ) -> Callable[[], object]:
        return lambda: plain_loop(plain, clip, label, steps, conditions, momentum)

    f_a, f_v, g_a, g_v = ("forward audio", "forward visual", "gradient audio", "gradient visual")
    more = STEPS - 1

    def sweep() -> None:
        cache: EvaluationCache = {}  # as jobs of one process have it
        for number in range(1, SEVERAL + 1):
            evaluate(
                ours, [batch], FGSM(), suite(number * EPS / SEVERAL), device=device, cache=cache
            )

    suite_floor = {g_a: 1 + 2 * more, g_v: 1 + 2 * more, f_a: 2, f_v: 2}
    return {
        "FGSM suite": Case(loop(1), run(FGSM()), {g_a: 1, g_v: 1, f_a: 1, f_v: 1}, 8),
        f"FGSM suites at {SEVERAL} eps": Case(
            loop(1), sweep, {g_a: 1, g_v: 1, f_a: SEVERAL, f_v: SEVERAL}, 25, times=SEVERAL
        ),
        "PGD suite": Case(loop(STEPS), run(PGD()), suite_floor, 4),
        "MIM suite": Case(loop(STEPS, momentum=True), run(MIM()), suite_floor, 4),
        "PGD on audio alone": Case(
            loop(STEPS, four[1:2]), run(PGD(), ("audio",)), {g_a: STEPS, f_a: 1, f_v: 1}, 5
        ),
    }


def measured(
    cases: dict[str, Case],
    passes: dict[str, Callable[[], object]],
    repeats: int,
    batch: int,
    device: str,
) -> list[dict[str, object]]:
    """The lines of the table; everything is timed in turns, after a round that is not."""
    calls: dict[str, Callable[[], object]] = {}
    for name, case in cases.items():
        calls[f"{name}, theirs"], calls[f"{name}, ours"] = case.theirs, case.ours
    times: dict[str, list[float]] = {name: [] for name in calls}
    fastest = dict.fromkeys(passes, float("inf"))
    for _ in range(1 + repeats):
        for name, call in passes.items():
            fastest[name] = min(fastest[name], *(seconds(call, device) for _ in range(FLOOR_TRIES)))
        for name, call in calls.items():
            times[name].append(seconds(call, device))
    median = {name: statistics.median(found[1:]) for name, found in times.items()}
    lines: list[dict[str, object]] = []
    for name, case in cases.items():
        theirs, ours = case.times * median[f"{name}, theirs"], median[f"{name}, ours"]
        lines.append(
            {
                "evaluation": name,
                "plain, s a clip": theirs / batch,
                "ours, s a clip": ours / batch,
                "ratio": theirs / ours,
                "wanted": case.wanted,
                "over the floor": ours
                / sum(count * fastest[kind] for kind, count in case.needed.items()),
            }
        )
    return lines


def floor_passes(model: AVClassifier, clip: Clip) -> dict[str, Callable[[], object]]:
    """Bare passes of each net: forward, and forward with the gradient of its input."""
    assert model.audio is not None
    assert model.visual is not None
    for parameter in model.parameters():
        parameter.requires_grad_(False)

    def gradient(net: nn.Module, x: Tensor) -> Tensor:
        free = x.clone().requires_grad_()
        return torch.autograd.grad(net(free).sum(), free)[0]

    def forward(net: nn.Module, x: Tensor) -> Tensor:
        with torch.no_grad():
            return net(x)  # type: ignore[no-any-return]

    pairs = {"audio": (model.audio, clip.audio), "visual": (model.visual, clip.visual)}
    made: dict[str, Callable[[], object]] = {}
    for name, (net, x) in pairs.items():
        made[f"forward {name}"] = lambda net=net, x=x: forward(net, x)  # type: ignore[misc]
        made[f"gradient {name}"] = lambda net=net, x=x: gradient(net, x)  # type: ignore[misc]
    return made


def seconds(call: Callable[[], object], device: str) -> float:
    started = time.perf_counter()
    call()
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
