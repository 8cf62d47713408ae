"""How a classifier is trained: the settings, as the config has them and the code takes them."""

from dataclasses import dataclass

from avrobust.ranges import BelowOne, Milestones, NonNegativeFloat, PositiveInt, TwoOrMore
from avrobust.utils.arguments import checks_arguments

# Goes up when the code of training gives another model for the same settings: optimizer, schedule,
# order of the clips, choice of the best epoch. It is in the identity of every run.
TRAINING_REVISION = 0


@checks_arguments
@dataclass  # not frozen: Hydra takes a frozen class as a read-only config
class Recipe:
    """SGD with a learning rate for each part of the model. The defaults are the paper's for MUSIC.

    Raises:
        ValueError: a setting is out of range.
    """

    epochs: PositiveInt = 100
    batch_size: TwoOrMore = 36  # BatchNorm needs two clips
    milestones: Milestones = (30, 60, 90)  # epochs after which learning rates are divided by 10
    lr_audio: NonNegativeFloat = 1e-3
    lr_visual: NonNegativeFloat = 1e-4
    lr_head: NonNegativeFloat = 1e-3  # fusion and classifier
    momentum: BelowOne = 0.9
    weight_decay: NonNegativeFloat = 1e-4
