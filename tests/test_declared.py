"""What attacks declare about themselves, so that tables and tasks need no list of names."""

from typing import get_args

import pytest

from avrobust.attacks.av_auto import AVAuto
from avrobust.attacks.base import Attack, Kind
from avrobust.attacks.eot import EoT
from avrobust.attacks.gradients import cross_entropy
from avrobust.attacks.targeted import Targeted
from avrobust.attacks.transfer import Transfer
from tests.support import build_short, built, model_for, options

DECLARED = {"cross_entropy": cross_entropy, "another": cross_entropy}


@pytest.fixture(params=options("attack"))
def attack(request: pytest.FixtureRequest) -> Attack:
    return build_short(request.param)


def test_every_attack_has_a_kind(attack: Attack) -> None:
    assert attack.kind in get_args(Kind)


def test_an_attack_runs_once_for_each_objective_of_a_defense_an_ensemble_once(
    attack: Attack,
) -> None:
    adaptive, objectives = attack.adaptive_attack(DECLARED)
    if isinstance(attack, AVAuto):
        names = [member.name for member in attack.members(model_for(), 4)]
        assert isinstance(adaptive, AVAuto)
        more = [member.name for member in adaptive.members(model_for(), 4)]
        assert [name for name in more if name not in names] == ["apgd_another"]
        assert len(objectives) == 1
    else:
        assert adaptive is attack
        assert objectives == DECLARED


def test_an_attack_made_of_another_is_of_its_kind() -> None:
    pgd = built("attack", "pgd100")
    for wrapped in (EoT(pgd), Targeted(pgd), Transfer(pgd, model_for())):
        assert wrapped.kind == pgd.kind == "strong"
        assert wrapped.paper_name is None


@pytest.mark.parametrize(
    ("option", "name"),
    [("fgsm", "fgsm"), ("pgd", "pgd"), ("mim", "mim"), ("mim_released", "mim"), ("pgd100", None)],
)
def test_the_papers_attacks_have_the_papers_names(option: str, name: str | None) -> None:
    assert built("attack", option).paper_name == name
