"""How a classifier is trained: the settings, as the config has them and the code takes them."""

from dataclasses import dataclass

# Goes up when the code of training gives another model for the same settings: optimizer, schedule,
# order of the clips, choice of the best epoch. It is in the identity of every run.
TRAINING_REVISION = 0


@dataclass  # not frozen: Hydra takes a frozen class as a read-only config
class Recipe:
    """SGD with a learning rate for each part of the model. The defaults are the paper's for MUSIC.

    Raises:
        ValueError: a setting makes no sense.
    """

    epochs: int = 100
    batch_size: int = 36
    milestones: tuple[int, ...] = (
        30,
        60,
        90,
    )  # epochs after which every learning rate is divided by 10
    lr_audio: float = 1e-3
    lr_visual: float = 1e-4
    lr_head: float = 1e-3  # fusion and classifier
    momentum: float = 0.9
    weight_decay: float = 1e-4

    def __post_init__(self) -> None:
        for name, value, least in (("epochs", self.epochs, 1), ("batch_size", self.batch_size, 2)):
            if value < least:
                raise ValueError(f"{name} must be at least {least}, not {value}")
        for name in ("lr_audio", "lr_visual", "lr_head", "momentum", "weight_decay"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(
                    f"{name} must be a finite number of at least 0, not {getattr(self, name)}"
                )
