"""What Auto-PGD promises beyond the contracts and the oracles."""

import pytest
import torch

from avrobust.attacks.apgd import APGD
from avrobust.attacks.losses import dlr, dlr_targeted, margin
from avrobust.errors import UserError
from avrobust.threats import suite
from avrobust.types import Clip
from avrobust.utils.randomness import generator
from tests.support import batch_of, model_for

BATCH = batch_of(6, seed=1, classes=5)


def logits_of(*rows: list[float]) -> object:
    return lambda _: torch.tensor(rows)


def test_dlr_is_the_papers_ratio_and_keeps_under_shift_and_scale() -> None:
    z, y, t = [4.0, 1.0, 3.0, 2.0], torch.tensor([0]), torch.tensor([1])
    assert float(margin(torch.tensor([z]), y)) == -1
    assert float(dlr(logits_of(z), BATCH.clip, y)) == pytest.approx(-(4 - 3) / (4 - 2))
    assert float(dlr_targeted(logits_of(z), BATCH.clip, y, t)) == pytest.approx(
        -(4 - 1) / (4 - (2 + 1) / 2)
    )
    moved = [1e4 * v + 7 for v in z]
    assert float(dlr(logits_of(moved), BATCH.clip, y)) == pytest.approx(-0.5, rel=1e-4)


@pytest.mark.parametrize("loss", ["objective", "dlr", "dlr_targeted"])
def test_leaving_fooled_clips_alone_changes_no_verdict(loss: str) -> None:
    model = model_for(classes=5).double()
    clip = Clip(*(x.double() for x in BATCH.clip))
    label = model(clip).argmax(1)

    def fooled(stop: bool) -> list[bool]:
        generators = [generator(0, key) for key in BATCH.key]
        attack = APGD(15, loss, stop=stop)  # type: ignore[arg-type]
        x = attack(model, clip, label, suite(0.01)["audiovisual"], generators=generators)
        return (model(x).argmax(1) != label).tolist()  # type: ignore[no-any-return]

    assert fooled(True) == fooled(False)


@pytest.mark.parametrize(("loss", "classes"), [("dlr", 2), ("dlr_targeted", 3)])
def test_too_few_classes_are_refused(loss: str, classes: int) -> None:
    batch = batch_of(2, classes=classes)
    with pytest.raises(UserError, match=f"needs at least {classes + 1} classes, not {classes}"):
        APGD(2, loss)(model_for(classes=classes), batch.clip, batch.label, suite(0.1)["audio"])
