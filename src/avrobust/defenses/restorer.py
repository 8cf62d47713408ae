"""The denoiser of one modality's embeddings: sparse coding over a bank of training features."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, final

import torch
from torch import Tensor, nn

from avrobust.defenses.sparse import Bank, Solver
from avrobust.types import Modality

Gradient = Literal["implicit", "unrolled", "straight_through"]


@final
class Restorer(nn.Module):
    """f' = mixing * M a(f) + (1 - mixing) * f, with the sparse code a(f) of f over the bank M.

    Tian & Xu 2021. Gradients pass the coding by `implicit` differentiation (exact at the minimizer;
    neither time nor memory grows with the solver's iterations), `unrolled` (through every
    iteration) or `straight_through` (as if M a(f) were f: BPDA, Athalye et al. 2018).

    Args:
        modality: whose embeddings are restored.
        dim: D, their size.
        solver: of the sparse code.
        weight: lambda, of |a|_1.
        mixing: share of the restored embedding, in [0, 1].
        gradient: how gradients pass the coding, as above.
    """

    atoms: Tensor  # (D, K), K = 0 until `fill`; the other buffers are derived from it
    left: Tensor
    singular: Tensor
    right: Tensor
    gram: Tensor  # (K, K) float64

    def __init__(
        self,
        modality: Modality,
        dim: int,
        solver: Solver,
        *,
        weight: float,
        mixing: float,
        gradient: Gradient,
    ) -> None:
        super().__init__()
        self.modality, self.solver, self.weight, self.mixing = modality, solver, weight, mixing
        self.gradient: Gradient = gradient
        self.register_buffer("atoms", torch.empty(dim, 0))
        for name in ("left", "singular", "right", "gram"):
            self.register_buffer(name, torch.empty(0), persistent=False)

    @property
    def bank(self) -> Bank:
        """The atoms and their decomposition."""
        return Bank(self.atoms, self.left, self.singular, self.right)

    def fill(self, features: Tensor) -> None:
        """Takes features, (K, D), as the bank's atoms."""
        self.atoms = features.detach().T.contiguous()
        self.left, self.singular, self.right = Bank.of(self.atoms)[1:]
        self.gram = self.atoms.double().T @ self.atoms.double()

    def forward(self, embedding: Tensor) -> Tensor:
        """(B, D) -> (B, D).

        Raises:
            RuntimeError: the bank has not been filled.
        """
        if not self.atoms.numel():
            raise RuntimeError(
                f"the {self.modality} memory is empty: the defense's `setup` fills it"
            )
        # The solver's duality gap is out of reach of half precision.
        with torch.autocast(embedding.device.type, enabled=False):
            embedding = embedding.to(self.atoms.dtype)
            return self.mixing * self._decoded(embedding) + (1 - self.mixing) * embedding

    def _decoded(self, embedding: Tensor) -> Tensor:
        """M a(f): (B, D)."""
        if self.gradient == "unrolled":
            return self.bank.decode(self._code(embedding))
        if self.gradient == "implicit":
            decoded: Tensor = _Implicit.apply(embedding, self)  # type: ignore[no-untyped-call]
            return decoded
        with torch.no_grad():
            change = self.bank.decode(self._code(embedding)) - embedding
        return embedding + change

    def _code(self, embedding: Tensor) -> Tensor:
        return self.solver.solve(self.bank, embedding, self.weight, self.modality).code

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """The number of atoms comes from the checkpoint."""
        if (atoms := state_dict.get(f"{prefix}atoms")) is not None and atoms.numel():
            self.fill(atoms.T.to(self.atoms.device))
        super()._load_from_state_dict(state_dict, prefix, *rest)


class _Implicit(torch.autograd.Function):
    """M a(f), whose Jacobian is the orthogonal projection on the span of the atoms in use.

    On its support S the minimizer is (Ms^t Ms)^-1 (Ms^t f - lambda sign(a) / 2), and S and the
    signs stay as they are near f. Bertrand et al. 2020 (arXiv 2002.08943).
    """

    @staticmethod
    def forward(ctx: Any, embedding: Tensor, restorer: Restorer) -> Tensor:
        code = restorer._code(embedding)
        ctx.restorer = restorer
        ctx.save_for_backward(code != 0)
        return restorer.bank.decode(code)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (support,) = ctx.saved_tensors
        with torch.autocast(gradients[0].device.type, enabled=False):
            return project(gradients[0], ctx.restorer.atoms, ctx.restorer.gram, support), None


def project(vectors: Tensor, atoms: Tensor, gram: Tensor, support: Tensor) -> Tensor:
    """Each vector's orthogonal projection on the span of its own atoms.

    Args:
        vectors: (B, D).
        atoms: M, (D, K).
        gram: Mt M, (K, K) float64.
        support: which atoms, (B, K) bool.

    Returns:
        (B, D).
    """
    most = max(1, int(support.sum(1).max()))
    used, index = support.int().sort(dim=1, descending=True, stable=True)
    index, unused = index[:, :most], 1 - used[:, :most].double()  # (B, S)
    keep = 1 - unused
    system = gram[index.unsqueeze(2), index.unsqueeze(1)] * keep.unsqueeze(2) * keep.unsqueeze(1)
    # A trace of ridge, as the bank may hold an atom twice.
    system = system + torch.diag_embed(unused + 1e-10 * gram.diagonal().mean())
    right = (vectors @ atoms).double().gather(1, index) * keep
    solved = torch.cholesky_solve(right.unsqueeze(2), torch.linalg.cholesky(system)).squeeze(2)
    code = torch.zeros(support.shape, dtype=solved.dtype, device=solved.device).scatter(
        1, index, solved * keep
    )
    return code.to(atoms.dtype) @ atoms.T


@contextmanager
def straight_through(restorers: nn.ModuleDict) -> Iterator[None]:
    """Within the block gradients pass the restorers as if these changed nothing."""
    modules = [module for module in restorers.values() if isinstance(module, Restorer)]
    gradients = [restorer.gradient for restorer in modules]
    try:
        for restorer in modules:
            restorer.gradient = "straight_through"
        yield
    finally:
        for restorer, gradient in zip(modules, gradients, strict=True):
            restorer.gradient = gradient
