"""A checked config as typed values: which model, which attack, and how the work is done.

The three parts differ in what depends on them. `ModelSettings` decides the weights of a model,
`AttackSettings` the numbers of an evaluation; `Execution` changes no number, so that it is in no
run's identity.
"""

from dataclasses import dataclass, field, replace
from typing import Annotated, Literal, final

from annotated_types import Ge, Le

from avrobust.data.layout import Split
from avrobust.experiments.options import Option
from avrobust.ranges import (
    LARGEST,
    ExtraWorkerCount,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveInt,
    Seed,
)
from avrobust.training.recipe import Recipe
from avrobust.types import Target
from avrobust.utils.arguments import checks_arguments

Task = Literal["train", "attack", "defend"]
Adaptive = Literal["worst", "paper"]
DeviceCount = Annotated[int, Ge(-1), Le(LARGEST)]  # -1 for all of them

UNDEFENDED = "none"  # the option of the group `defense` that every defense is compared with


@final
@checks_arguments
@dataclass(frozen=True)
class ModelSettings:
    """What decides the weights of a trained model."""

    dataset: Option
    audio: Option
    visual: Option
    fusion: Option
    defense: Option
    training: Recipe
    trainer: Option
    seed: Seed
    training_revision: NonNegativeInt = 0  # TRAINING_REVISION of the code that trained it

    @property
    def defended(self) -> bool:
        """Whether the model is trained with a defense."""
        return self.defense.name != UNDEFENDED

    @property
    def used_fusion(self) -> Option:
        """The fusion of the model: a unimodal defense brings its own."""
        return self.defense.parts.get("fusion", self.fusion)

    def stage_before(self) -> "ModelSettings | None":
        """The model whose weights the training starts from; None if these are random.

        A defense with a `base` starts from the model that `base` trained. A defense of one stage
        with `match_epochs` starts from its own trained model, so that both sides of a comparison
        are trained for equally long.
        """
        if base := self.defense.parts.get("base"):
            return replace(self, defense=base)
        if self.defense.values.get("match_epochs"):
            return replace(self, defense=self.defense.with_values(match_epochs=False))
        return None


@final
@checks_arguments
@dataclass(frozen=True)
class AttackSettings:
    """What decides the numbers of an evaluation beside the model."""

    attack: Option
    threat: Option
    eps: NonNegativeFloat  # in the units of the threat
    split: Split = "test"
    clips: PositiveInt | None = None  # so many of the split, drawn by their names; None for all
    target: Target | None = None  # the wrong class that the attacker wants; None for any
    source: ModelSettings | None = None  # another model that the clips are made on
    conditions: dict[str, Option] = field(default_factory=dict)  # beside clean and the threat's own
    amp: bool = False
    compile: bool = False
    adaptive: Adaptive = "worst"  # the objectives of an attack on a defended model
    evaluation_revision: NonNegativeInt = 0  # EVALUATION_REVISION of the code that evaluated it


@final
@checks_arguments
@dataclass(frozen=True)
class Execution:
    """How the work is done. Nothing here changes a number."""

    runs: str = "runs"
    force: bool = False
    # What becomes of a finished result whose code or weights have changed since.
    stale: Literal["again", "show"] = "again"
    workers: ExtraWorkerCount = 0
    batch_size: PositiveInt | Literal["auto"] = 32
    jobs_per_gpu: PositiveInt = 1
    examples: NonNegativeInt = 4
    name: str | None = None
    tags: tuple[str, ...] = ()
    logger: Option | None = None
    experiment: str | None = None
    sweep: str | None = None
    overrides: tuple[str, ...] = ()  # as the user typed them
    config_dirs: tuple[str, ...] = ()  # folders of options that --config-dir added
    parallel_jobs: bool = False  # whether other jobs of the sweep run on this machine
    accelerator: str = "auto"  # Lightning's name of the hardware; "cpu" leaves GPUs alone
    devices: DeviceCount | str | list[NonNegativeInt] = 1  # as Lightning takes it

    @property
    def one_device(self) -> bool:
        """Whether a training runs on a single device."""
        return self.devices == 1


@final
@dataclass(frozen=True)
class Experiment:
    """What one command asks for."""

    task: Task
    model: ModelSettings
    attack: AttackSettings | None  # None for a training
    execution: Execution

    @property
    def evaluation(self) -> AttackSettings:
        """The attack of an evaluation."""
        assert self.attack is not None, f"{self.task} attacks nothing"
        return self.attack

    def for_prerequisites(self) -> "Experiment":
        """The same for the runs that this one builds on.

        Finished ones are not forced again, and nothing new is built on a stale one.
        """
        return replace(self, execution=replace(self.execution, force=False, stale="again"))

    def with_model(self, model: ModelSettings) -> "Experiment":
        """The same for another model."""
        return replace(self, model=model)


def attack_name(model: ModelSettings, attack: AttackSettings) -> str:
    """The attack as tables call it.

    For example "pgd" or "pgd amp", "pgd to next" with a target, "pgd from sum" with a source.
    """
    words = [attack.attack.name]
    for shortcut in ("amp", "compile"):
        if getattr(attack, shortcut):
            words.append(shortcut)
    if attack.target:
        words += ["to", attack.target]
    if attack.source:
        words += ["from", _differences(attack.source, model)]
    return " ".join(words)


def _differences(source: ModelSettings, model: ModelSettings) -> str:
    """In what the source model differs from the attacked one, for example "sum+minsim+s1"."""
    names = []
    for part in ("fusion", "defense", "audio", "visual"):
        if getattr(source, part) != getattr(model, part):
            names.append(getattr(source, part).name)
    if source.seed != model.seed:
        names.append(f"s{source.seed}")
    return "+".join(names)
