"""Temporal invariance and modality misalignment: do the terms do what their names say?"""

from functools import partial

import pytest
import torch
from torch import Tensor, nn

from avrobust.attacks.losses import cosine
from avrobust.attacks.pgd import PGD
from avrobust.attacks.tma import TMA, _variance, shifted
from avrobust.evaluation.evaluate import evaluate
from avrobust.models.classifier import AVClassifier
from avrobust.threats import suite
from avrobust.types import Batch, Features
from tests.support import batch_of, clip_of, model_for

MODEL, BATCH = model_for(), batch_of(6, seed=5)
THREAT = suite(0.05)["audiovisual"]


def test_a_clip_is_rolled_in_time_in_both_streams() -> None:
    clip = clip_of(2, frames=4)
    half = shifted(clip, 0.5)
    assert torch.equal(half.audio, torch.cat([clip.audio[..., 2048:], clip.audio[..., :2048]], -1))
    assert torch.equal(half.visual, clip.visual[:, [2, 3, 0, 1]])
    assert torch.equal(shifted(clip_of(2), 0.25).visual, clip_of(2).visual)


def test_the_variance_is_of_directions_and_of_each_clip() -> None:
    x, y = torch.tensor([[1.0, 0.0], [1.0, 0.0]]), torch.tensor([[3.0, 0.0], [0.0, 1.0]])
    none = torch.zeros(2, 0)
    torch.testing.assert_close(
        _variance([Features(x, none), Features(y, none)]), torch.tensor([0.0, 0.5])
    )


def test_weights_of_zero_are_pgd() -> None:
    plain = PGD(4)(MODEL, BATCH.clip, BATCH.label, THREAT)
    same = TMA(4, temporal=0.0, misalignment=0.0)(MODEL, BATCH.clip, BATCH.label, THREAT)
    with torch.no_grad():
        torch.testing.assert_close(MODEL(same), MODEL(plain))


@pytest.mark.parametrize("term", ["temporal", "misalignment"])
def test_each_term_moves_what_it_weighs(term: str) -> None:
    attack = partial(TMA, 8, temporal=0.0, misalignment=0.0)
    found = {}
    for weight in (0.0, 50.0):
        x = attack(**{term: weight})(MODEL, BATCH.clip, BATCH.label, THREAT)
        with torch.no_grad():
            if term == "misalignment":
                found[weight] = float(cosine(MODEL.encode(x)).mean())
            else:
                views = [MODEL.encode(shifted(x, i / 4)) for i in range(4)]
                found[weight] = float(_variance(views).mean())
    assert found[50.0] < found[0.0]


VIDEO: Batch = batch_of(3, seed=6)._replace(clip=clip_of(3, seed=6, frames=4))
SUITE = suite(0.05)
TIA = TMA(1, misalignment=0.0)
CONSTANT_VIDEO = (
    "temporal invariance of visual, which is constant: no shift of the clip in time changes the "
    "embedding; the attack on visual alone is PGD"
)


class Weighted(nn.Module):
    """A visual net whose frames count more and more: the order has an effect of `slope`."""

    def __init__(self, frame_by_frame: nn.Module, slope: float) -> None:
        super().__init__()
        self.frame_by_frame, self.slope = frame_by_frame, slope
        self.dim = frame_by_frame.dim

    def forward(self, visual: Tensor) -> Tensor:
        frames = [self.frame_by_frame(visual[:, i : i + 1]) for i in range(visual.shape[1])]
        weighted = [(1 + self.slope * i) * frame for i, frame in enumerate(frames)]
        return torch.stack(weighted).mean(0)


def model_with_order(slope: float) -> AVClassifier:
    model = model_for()
    assert model.visual is not None
    model.visual = Weighted(model.visual, slope)  # type: ignore[assignment]
    return model.eval()


def reported(model: AVClassifier, attack: TMA = TIA, batch: Batch = VIDEO) -> list[str]:
    reasons: list[str] = []
    evaluate(model, [batch], attack, SUITE, unsupported=reasons)
    return reasons


def test_on_the_mean_over_frames_the_temporal_term_does_nothing_and_that_is_reported(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clip, label = VIDEO.clip, VIDEO.label
    pgd = PGD(3)(MODEL, clip, label, SUITE["visual"])
    tia = TMA(3, temporal=30.0, misalignment=0.0)(MODEL, clip, label, SUITE["visual"])
    assert (pgd.visual != tia.visual).float().mean() < 0.01
    assert reported(MODEL) == [CONSTANT_VIDEO]
    evaluate(MODEL, [VIDEO], TIA, SUITE)
    assert CONSTANT_VIDEO in " ".join(capsys.readouterr().err.split())


def test_a_model_is_measured_not_recognized_by_its_type() -> None:
    assert reported(model_with_order(0.0)) == [CONSTANT_VIDEO]
    assert reported(model_with_order(0.1)) == []
    assert reported(model_with_order(0.1), batch=BATCH) == [CONSTANT_VIDEO]  # of one frame each


def test_a_clip_in_which_nothing_happens_does_not_make_the_term_constant() -> None:
    silent = VIDEO.clip._replace(audio=torch.zeros_like(VIDEO.clip.audio))
    still = silent._replace(visual=silent.visual[:, :1].expand(-1, 4, -1, -1, -1).clone())
    assert reported(model_with_order(0.1), batch=VIDEO._replace(clip=still)) == []


def test_with_the_cosine_only_the_temporal_term_is_unsupported() -> None:
    (reason,) = reported(MODEL, TMA(1))
    assert reason == CONSTANT_VIDEO.partition(";")[0]
    assert reported(MODEL, TMA(1, temporal=0.0)) == []


def test_only_attacked_modalities_are_spoken_of() -> None:
    only_sound = [SUITE["audio"]]
    assert TIA.unsupported(MODEL, 3, only_sound, VIDEO.clip) == []
    assert TIA.unsupported(MODEL, 3, [SUITE["visual"]], VIDEO.clip) == [CONSTANT_VIDEO]
    assert TIA.unsupported(MODEL, 3) == [CONSTANT_VIDEO]  # measured on noise
    assert TIA.unsupported(model_for("fusion=audio_only"), 3, SUITE.values(), VIDEO.clip) == []


def test_rounding_to_bfloat16_does_not_look_like_an_effect() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        assert reported(MODEL) == [CONSTANT_VIDEO]
