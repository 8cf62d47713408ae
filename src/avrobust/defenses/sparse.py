"""Sparse coding over a bank of features: min over a of |f - M a|^2 + lambda |a|_1, clip by clip."""

from abc import ABC, abstractmethod
from typing import NamedTuple, Self, final

import torch
from torch import Tensor
from torch.nn import functional as F

from avrobust.errors import UserError
from avrobust.ranges import NonNegativeFloat, PositiveFloat, PositiveFraction, PositiveInt
from avrobust.types import Modality
from avrobust.utils.arguments import CheckedArguments

CHECK_EVERY = 10  # iterations between two looks at which clips are done
RELAXATION = 1.6  # of ADMM; Boyd et al. 2011, section 3.4.3, recommends 1.5 to 1.8


class Bank(NamedTuple):
    """The atoms M as columns, and their singular value decomposition M = U diag(s) Vt."""

    atoms: Tensor  # M, (D, K)
    left: Tensor  # U, (D, R)
    singular: Tensor  # s, (R,), largest first
    right: Tensor  # Vt, (R, K)

    @classmethod
    def of(cls, atoms: Tensor) -> Self:
        """The bank of these atoms, (D, K), decomposed in float64 and stored in their precision."""
        left, singular, right = torch.linalg.svd(atoms.double(), full_matrices=False)
        kept = singular > singular[0] * 1e-7

        def stored(x: Tensor) -> Tensor:
            return x.to(atoms.dtype).contiguous()

        return cls(atoms, stored(left[:, kept]), stored(singular[kept]), stored(right[kept]))

    def decode(self, code: Tensor) -> Tensor:
        """M a: (B, K) -> (B, D)."""
        return code @ self.atoms.T


class Solution(NamedTuple):
    """The codes of a batch, how exact they are, and how many iterations they took."""

    code: Tensor  # (B, K)
    gap: Tensor  # (B,) duality gap over the objective; NaN if the solver does not compute it
    iterations: Tensor  # (B,) int64


def objective(bank: Bank, features: Tensor, code: Tensor, weight: float) -> Tensor:
    """|f - M a|^2 + weight |a|_1 of each clip: (B,)."""
    return (features - bank.decode(code)).square().sum(1) + weight * code.abs().sum(1)


class Solver(CheckedArguments, ABC):
    """Minimizes the objective; a clip's code does not depend on the rest of the batch.

    Attributes:
        exact: False if the solver stops short of the minimizer, so that the minimizer's gradient is
            not the gradient of its code.
    """

    exact = True

    @abstractmethod
    def solve(self, bank: Bank, features: Tensor, weight: float, modality: Modality) -> Solution:
        """The codes of features (B, D); differentiable step by step if autograd is on.

        Args:
            bank: the atoms.
            features: (B, D).
            weight: lambda, of |a|_1.
            modality: whose features they are.

        Raises:
            UserError: the solver's settings do not suit this bank.
        """


@final
class ADMM(Solver):
    """Alternating direction method of multipliers, to a stated duality gap.

    Boyd et al. 2011, section 6.4. The quadratic step is diagonal in the bank's singular vectors, so
    that each clip balances its own penalty (section 3.4.1) without a factorization. Stable in
    float32, down to a gap of about 1e-6.

    Args:
        gap: a clip is done when (objective - dual bound) / objective is at most this.
        max_iterations: after which a clip's code is returned as it is, with its gap.

    Raises:
        ValueError: a number is out of range.
    """

    def __init__(self, gap: PositiveFraction = 1e-4, max_iterations: PositiveInt = 500) -> None:
        self.gap, self.max_iterations = gap, max_iterations

    def solve(self, bank: Bank, features: Tensor, weight: float, modality: Modality) -> Solution:
        _, left, s, right = bank
        coordinates = features @ left  # (B, R)
        beyond = (features - coordinates @ left.T).square().sum(1)  # (B,) what no atom reaches
        clips = torch.arange(len(features), device=features.device)  # those not done yet
        penalty = s.median().square().expand(len(features), 1)
        sparse = dual = features.new_zeros(len(features), bank.atoms.shape[1])
        code, iterations = sparse, torch.zeros_like(clips)
        gaps = beyond.new_full((len(clips),), torch.inf)
        balance_at = CHECK_EVERY
        for iteration in range(1, self.max_iterations + 1):
            step = (coordinates - s * ((sparse - dual) @ right.T)) / (2 * s.square() + penalty)
            dense = sparse - dual + (2 * s * step) @ right
            relaxed = RELAXATION * dense + (1 - RELAXATION) * sparse + dual
            before, sparse = sparse, _shrink(relaxed, weight / penalty)
            dual = relaxed - sparse
            if iteration % CHECK_EVERY and iteration < self.max_iterations:
                continue
            gap = _gap(bank, coordinates, beyond, sparse, penalty * step, weight)
            code = code.index_copy(0, clips, sparse)
            gaps = gaps.index_copy(0, clips, gap)
            iterations = iterations.index_fill(0, clips, iteration)
            not_done = (gap > self.gap).nonzero().squeeze(1)
            if not len(not_done):
                break
            # Ever more rarely, because a penalty that keeps changing need not converge.
            if iteration == balance_at:
                dual, penalty = _balance(dense, sparse, before, dual, penalty)
                balance_at *= 2
            state = (clips, coordinates, beyond, penalty, sparse, dual)
            rows = [x.index_select(0, not_done) for x in state]
            clips, coordinates, beyond, penalty, sparse, dual = rows
        return Solution(code, gaps, iterations)


class Truncated(Solver):
    """The settings of the released code's truncated iteration.

    The iteration is proximal gradient descent from 0, a <- soft(a + step Mt (f - M a),
    step lambda), until a step is shorter than the tolerance. Its step is along the gradient of
    |f - M a|^2 / 2, so that without the truncation it would end in the minimizer of
    |f - M a|^2 + 2 lambda |a|_1, not in that of the paper's objective.

    The released code compares the tolerance with the change of the whole batch; here each clip
    stops by its own change, so that its code does not depend on the rest of the batch.

    Args:
        step_audio: step size for the audio bank; the released ones are 1e-6 for MUSIC, 5.8e-7 for
            Kinetics-Sounds.
        step_visual: step size for the visual bank; 6e-6 and 2e-6.
        tolerance: of the 2-norm of a clip's change.
        max_iterations: after which a clip's code is returned as it is.
    """

    exact = False

    def __init__(
        self,
        step_audio: PositiveFloat = 1e-6,
        step_visual: PositiveFloat = 6e-6,
        tolerance: NonNegativeFloat = 8e-4,
        max_iterations: PositiveInt = 2000,
    ) -> None:
        self.steps: dict[Modality, float] = {"audio": step_audio, "visual": step_visual}
        self.tolerance, self.max_iterations = tolerance, max_iterations

    def step(self, bank: Bank, modality: Modality) -> float:
        """The step size.

        Raises:
            UserError: step * largest eigenvalue of Mt M is above 1, where the released code refuses
                to start. The iteration diverges only above 2, but above 1 its steps overshoot.
        """
        step, limit = self.steps[modality], 1 / float(bank.singular[0].square())
        if step > limit:
            raise UserError(
                f"defense.solver.step_{modality}={step:g} is too large for this bank, as in the "
                f"released code; it has to be at most {limit:.2g}"
            )
        return step


@final
class ReleasedISTA(Truncated):
    """The released code's truncated iteration, step by step."""

    def solve(self, bank: Bank, features: Tensor, weight: float, modality: Modality) -> Solution:
        step = self.step(bank, modality)
        clips = torch.arange(len(features), device=features.device)
        code = current = features.new_zeros(len(features), bank.atoms.shape[1])
        iterations = torch.zeros_like(clips)
        for iteration in range(1, self.max_iterations + 1):
            residual = features - bank.decode(current)
            before = current
            current = F.softshrink(current + step * residual @ bank.atoms, step * weight)
            code = code.index_copy(0, clips, current)
            iterations = iterations.index_fill(0, clips, iteration)
            change = (current - before).detach().norm(dim=1)
            not_done = (change >= self.tolerance).nonzero().squeeze(1)
            if not len(not_done):
                break
            clips, features = clips.index_select(0, not_done), features.index_select(0, not_done)
            current = current.index_select(0, not_done)
        return Solution(code, features.new_full((len(code),), torch.nan), iterations)


@final
class SpectralISTA(Truncated):
    """The released truncated iteration in closed form: a filter in the bank's singular vectors.

    Without its shrinkage the iteration of `ReleasedISTA` is linear. After k steps
    a = V diag((1 - c^k) / s) Ut f with c = 1 - step s^2 in [0, 1). The number k follows from the
    length of the change, |diag(step s c^(k - 1)) Ut f|, which only falls.

    The shrinkage moves every coefficient by at most step lambda in each step, and no step increases
    the distance of two codes, because both I - step Mt M and the shrinkage are nonexpansive. So the
    codes after the same n steps differ by at most n step lambda sqrt(K) in the 2-norm. The released
    iteration stops after its own k' steps. The steps of either iteration never grow, so those that
    the one which stops first leaves out are shorter than the tolerance, |k - k'| of them. Together:
    |difference|_2 <= max(k, k') step lambda sqrt(K) + |k - k'| tolerance. With the released step
    sizes this is small: lambda has almost no effect, and the restoration comes from the early stop.
    """

    def solve(self, bank: Bank, features: Tensor, weight: float, modality: Modality) -> Solution:
        step, s = self.step(bank, modality), bank.singular
        coordinates, contraction = features @ bank.left, 1 - step * s.square()
        iterations = self._iterations(step * s * coordinates.detach(), contraction)
        reached = (1 - contraction ** iterations.unsqueeze(1)) / s
        return Solution(
            (reached * coordinates) @ bank.right,
            features.new_full((len(features),), torch.nan),
            iterations,
        )

    def _iterations(self, change: Tensor, contraction: Tensor) -> Tensor:
        """The first step of each clip whose change is below the tolerance, by bisection: (B,)."""
        low = torch.ones(len(change), dtype=torch.long, device=change.device)
        high = low * self.max_iterations
        for _ in range(self.max_iterations.bit_length()):
            middle = (low + high) // 2
            done = (change * contraction ** (middle - 1).unsqueeze(1)).norm(dim=1) < self.tolerance
            low = torch.where(done, low, (middle + 1).minimum(high))
            high = torch.where(done, middle, high)
        return high


def _shrink(x: Tensor, threshold: Tensor) -> Tensor:
    """Soft thresholding: the proximal map of threshold |x|_1."""
    return x.sign() * (x.abs() - threshold).clamp(min=0)


@torch.no_grad()
def _gap(
    bank: Bank, coordinates: Tensor, beyond: Tensor, code: Tensor, residual: Tensor, weight: float
) -> Tensor:
    """The relative duality gap of each clip, (B,).

    The dual point is 2 * residual, scaled until it is feasible. The dual is
    max theta.f - |theta|^2 / 4 over |Mt theta|_inf <= weight. Everything is in the coordinates of
    U; the part of f that no atom reaches, of squared length `beyond`, is in every residual.
    """
    reached = coordinates - bank.singular * (code @ bank.right.T)
    primal = reached.square().sum(1) + beyond + weight * code.abs().sum(1)
    correlation = 2 * (residual * bank.singular) @ bank.right
    inner, length = (residual * coordinates).sum(1) + beyond, residual.square().sum(1) + beyond
    scale = torch.minimum(weight / correlation.abs().amax(1), inner / length).clamp(0, 1)
    bound = 2 * scale * inner - scale.square() * length
    return torch.where(primal > 0, (primal - bound) / primal, torch.zeros_like(primal))


@torch.no_grad()
def _balance(
    dense: Tensor, sparse: Tensor, before: Tensor, dual: Tensor, penalty: Tensor
) -> tuple[Tensor, Tensor]:
    """Dual and penalty of each clip, rebalanced.

    The relative primal and dual residuals then stay within a factor of 2.25 of each other.
    """

    def norm(x: Tensor) -> Tensor:
        length: Tensor = x.norm(dim=1, keepdim=True)
        return length.clamp(min=1e-12)

    primal = norm(dense - sparse) / torch.maximum(norm(dense), norm(sparse))
    ratio = (primal / (norm(sparse - before) / norm(dual))).sqrt().clamp(0.2, 5)
    factor = torch.where((ratio > 1.5) | (ratio < 1 / 1.5), ratio, torch.ones_like(ratio))
    return dual / factor, penalty * factor
