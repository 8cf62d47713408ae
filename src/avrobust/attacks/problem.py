"""What an attack has to solve: clips, the threat against them, and all that may be asked of the model about them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, final

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from avrobust.models.classifier import HeldModel
from avrobust.threats import Threat
from avrobust.types import Classifier, Clip, Features

# Model, clips, labels to the attacker's loss of each, (B,); after them the targets, if the problem
# has any.
Objective = Callable[..., Tensor]


def cross_entropy(model: Classifier, clip: Clip, label: Tensor) -> Tensor:
    """The plain objective: cross-entropy of each clip against its true label, in nats, (B,)."""
    return F.cross_entropy(model(clip), label, reduction="none")


class Answer(NamedTuple):
    """What one pass says about clips; of these the gradient costs the most."""

    loss: Tensor  # (B,) the attacker's
    logits: Tensor  # (B, C)
    gradient: (
        Clip  # of the loss, per unit of the budget; zeros where the threat leaves a modality alone
    )


@final
@dataclass
class Meter:
    """What an attack has asked about one clip.

    A gradient is one of the loss that the attack maximizes: one pass forward and back, unless the
    objective itself takes several. It is counted also where the answer was known, and then as
    `shared` too.
    """

    gradients: int = 0
    queries: int = 0  # passes forward alone
    shared: int = (
        0  # of the gradients those that one pass at the clean clips answered for all conditions
    )


@final
@dataclass(frozen=True)
class Problem:
    """Clean clips with their labels, threat and generators, and a model that can be asked about clips near them.

    `take` narrows it to some of the clips, for attacks that go on with those that still stand
    alone. All that belongs to a clip comes along: its label, its generator, its meter, and the
    embedding of a modality that is not attacked.
    """

    model: Classifier
    clip: Clip
    label: Tensor  # (B,) int64
    threat: Threat
    generators: Sequence[Generator] | None = None
    objective: Objective = cross_entropy
    target: Tensor | None = None  # (B,) int64, for objectives that lead towards a class
    to_reach: bool = False  # True: only where the model says its target is a clip fooled
    first: Answer | None = None  # at the clean clips, if that is known already
    meters: Sequence[Meter] = ()  # one a clip, or none if nobody wants to know

    def __len__(self) -> int:
        return len(self.label)

    def take(self, index: Tensor) -> "Problem":
        """The same problem for the clips at `index`, (K,) int64."""
        if len(index) == len(self) and torch.equal(
            index, torch.arange(len(self), device=index.device)
        ):
            return self
        model = self.model.take(index) if isinstance(self.model, HeldModel) else self.model
        generators = (
            None if self.generators is None else [self.generators[i] for i in index.tolist()]
        )
        target = None if self.target is None else self.target[index]
        own = [self.meters[i] for i in index.tolist()] if self.meters else ()
        return replace(
            self,
            model=model,
            clip=take(self.clip, index),
            label=self.label[index],
            generators=generators,
            target=target,
            first=None,
            meters=own,
        )

    def towards(self, objective: Objective, target: Tensor | None = None) -> "Problem":
        """The same problem with another loss to maximize."""
        return replace(self, objective=objective, target=target, first=None)

    def maximizing(self, objective: Objective) -> "Problem":
        """The same problem, with the same target if it has one, with another loss to maximize."""
        return replace(self, objective=objective, first=None)

    def to_class(self, target: Tensor, objective: Objective) -> "Problem":
        """The same problem, solved where the model says `target`, (B,) int64."""
        return replace(self.towards(objective, target), to_reach=True)

    def answer(self, x: Clip) -> Answer:
        """Loss, logits and gradient at `x`, clips near `clip`.

        Units matter where gradients are compared or added up across channels: the paper's visual
        eps is in ImageNet-normalized units, and so is then the gradient.

        Raises:
            ValueError: the model's output cannot be differentiated, so that a gradient attack would
                say nothing.
        """
        known = self.first if x is self.clip else None
        for meter in self.meters:
            meter.gradients += 1
            meter.shared += known is not None
        if known:
            return known
        free = tuple(budget is not None for budget in self.threat.budgets)
        loss, logits, raw = differentiate(
            self.model, self.objective, x, self.label, free, self.target
        )
        pairs = zip(raw, self.threat.budgets, strict=True)
        return Answer(
            loss, logits, Clip(*(g if b is None else g * b.unit_like(g) for g, b in pairs))
        )

    @torch.no_grad()
    def judge(self, x: Clip) -> tuple[Tensor, Tensor]:
        """Loss (B,) and logits (B, C) at `x`, without a gradient."""
        self._count_query()
        return _evaluate(self.model, self.objective, x, self.label, self.target)

    @torch.no_grad()
    def logits(self, x: Clip) -> Tensor:
        """The logits at `x`, (B, C): all that a black-box attack may ask."""
        self._count_query()
        return self.model(x).detach()

    def _count_query(self) -> None:
        for meter in self.meters:
            meter.queries += 1

    def fooled(self, logits: Tensor) -> Tensor:
        """Whether the model errs, or says the class that is to be reached: (B,) bool."""
        if self.to_reach:
            return ~wrong(logits, self._wanted)
        return wrong(logits, self.label)

    def harm(self, logits: Tensor) -> Tensor:
        """By which the outcomes of different losses are compared, (B,): cross-entropy, or the target's likelihood."""
        sign = -1 if self.to_reach else 1
        return sign * F.cross_entropy(
            logits, self._wanted if self.to_reach else self.label, reduction="none"
        )

    @property
    def _wanted(self) -> Tensor:
        assert self.target is not None
        return self.target

    def step(self, x: Clip, direction: Clip, fraction: float | Tensor) -> Clip:
        """Moves each attacked modality by `fraction` of its eps along `direction`, then projects on the threat.

        The fraction is one number, or one of each clip: (B,).
        """
        parts = zip(x, direction, self.clip, self.threat.budgets, strict=True)
        return self.project(
            Clip(*(p if b is None else b.move(p, d, fraction, c) for p, d, c, b in parts))
        )

    def project(self, x: Clip) -> Clip:
        """The allowed clips that are nearest to `x`."""
        return self.threat.project(x, self.clip)

    def generator_of_each(self) -> Sequence[Generator]:
        """One generator a clip.

        Raises:
            ValueError: there is not one for each clip.
        """
        if self.generators is None or len(self.generators) != len(self):
            raise ValueError("random draws need one generator for each clip")
        return self.generators


def differentiate(
    model: Classifier,
    objective: Objective,
    x: Clip,
    label: Tensor,
    free: tuple[bool, ...],
    target: Tensor | None = None,
) -> Answer:
    """Loss, logits and gradient, zeros for a modality that is not `free`.

    Raises:
        ValueError: the model's output cannot be differentiated, so that a gradient attack would say
            nothing.
    """
    leaves = Clip(
        *(part.detach().requires_grad_(wanted) for part, wanted in zip(x, free, strict=True))
    )
    loss, logits = _evaluate(model, objective, leaves, label, target)
    if not loss.requires_grad:
        raise ValueError(
            "the model's output cannot be differentiated: a gradient attack would call it robust for nothing"
        )
    inputs = [part for part in leaves if part.requires_grad]
    found = iter(torch.autograd.grad(loss.sum(), inputs, allow_unused=True, materialize_grads=True))
    gradient = Clip(
        *(next(found) if part.requires_grad else torch.zeros_like(part) for part in leaves)
    )
    return Answer(loss.detach(), logits, gradient)


def _evaluate(
    model: Classifier, objective: Objective, x: Clip, label: Tensor, target: Tensor | None
) -> tuple[Tensor, Tensor]:
    heard = _Heard(model)
    loss = objective(heard, x, label, *([] if target is None else [target]))
    if loss.shape != (len(label),):
        raise ValueError(
            f"the objective returned {tuple(loss.shape)} for {len(label)} clips: it owes a loss of each"
        )
    return loss, model(x).detach() if heard.logits is None else heard.logits


@final
class _Heard:
    """The model as an objective sees it; keeps the last logits, so that a verdict costs no second pass."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self.logits: Tensor | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def __call__(self, clip: Clip) -> Tensor:
        return self._keep(self._model(clip))

    def classify(self, features: Features) -> Tensor:
        return self._keep(self._model.classify(features))

    def _keep(self, logits: Tensor) -> Tensor:
        self.logits = logits.detach()
        return logits


def wrong(logits: Tensor, label: Tensor) -> Tensor:
    """Whether logits (B, C) miss the label: (B,) bool. NaN has recognized nothing, whatever argmax makes of it."""
    return (logits.argmax(1) != label) | ~logits.isfinite().all(1)


def take(clip: Clip, index: Tensor) -> Clip:
    """The clips at `index`."""
    return Clip(*(x[index] for x in clip))


def put(into: Clip, index: Tensor, clip: Clip) -> Clip:
    """A copy of `into` in which the clips at `index` are those of `clip`."""
    return Clip(*(x.index_copy(0, index, part) for x, part in zip(into, clip, strict=True)))
