"""Sparse coding against scikit-learn, its duality gap, and the gradients through it."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import Lasso
from torch import Tensor

from avrobust.defenses.restorer import Restorer, project, straight_through
from avrobust.defenses.sparse import ADMM, Bank, ReleasedISTA, Solver, SpectralISTA, objective
from avrobust.errors import UserError

WEIGHT = 0.1


def problem(dim: int = 24, atoms: int = 40, clips: int = 6, seed: int = 0) -> tuple[Bank, Tensor]:
    """Atoms and features like embeddings: not negative, far from zero mean, all alike."""
    rng = torch.Generator().manual_seed(seed)
    shared = 3 * torch.rand(dim, 1, generator=rng)
    bank = Bank.of((shared + torch.randn(dim, atoms, generator=rng)).relu())
    return bank, (shared.T + torch.randn(clips, dim, generator=rng)).relu()


def lasso(bank: Bank, features: Tensor, weight: float = WEIGHT) -> Tensor:
    atoms = bank.atoms.double().numpy()
    model = Lasso(alpha=weight / 2 / len(atoms), fit_intercept=False, tol=1e-12, max_iter=2_000_000)
    return torch.stack(
        [torch.from_numpy(model.fit(atoms, f).coef_.copy()) for f in features.double().numpy()]
    )


@pytest.mark.parametrize(("dim", "atoms"), [(24, 40), (24, 12), (24, 24)])
def test_the_objective_is_that_of_scikit_learn(dim: int, atoms: int) -> None:
    bank, features = problem(dim, atoms)
    found = ADMM(gap=1e-6, max_iterations=3000).solve(bank, features, WEIGHT, "audio")
    exact = Bank(*(x.double() for x in bank))
    ours = objective(exact, features.double(), found.code.double(), WEIGHT)
    theirs = objective(exact, features.double(), lasso(bank, features), WEIGHT)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=0)
    assert (found.gap <= 1e-6).all() or (ours <= theirs * (1 + 1e-6)).all()


def test_the_gap_bounds_the_distance_from_the_optimum() -> None:
    bank, features = problem()
    best = objective(
        bank,
        features,
        ADMM(gap=1e-6, max_iterations=5000).solve(bank, features, WEIGHT, "audio").code,
        WEIGHT,
    )
    for gap in (0.3, 0.03, 0.003):
        found = ADMM(gap=gap).solve(bank, features, WEIGHT, "audio")
        ours = objective(bank, features, found.code, WEIGHT)
        assert (found.gap <= gap).all()
        assert ((ours - best) / ours <= found.gap + 1e-5).all()


@pytest.mark.parametrize(
    "solver", [ADMM(), ReleasedISTA(2e-4, max_iterations=300), SpectralISTA(2e-4)]
)
def test_a_code_is_its_clips_own(solver: Solver) -> None:
    bank, features = problem(clips=8)
    features = torch.cat([features, 10 * features[:2], torch.zeros(1, features.shape[1])])
    whole = solver.solve(bank, features, WEIGHT, "audio")
    order = torch.randperm(len(features), generator=torch.Generator().manual_seed(1))
    shuffled = solver.solve(bank, features[order], WEIGHT, "audio")
    torch.testing.assert_close(shuffled.code, whole.code[order], rtol=1e-4, atol=1e-5)
    assert torch.equal(shuffled.iterations, whole.iterations[order])
    alone = torch.cat([solver.solve(bank, f.unsqueeze(0), WEIGHT, "audio").code for f in features])
    torch.testing.assert_close(alone, whole.code, rtol=1e-4, atol=1e-5)


def test_a_feature_of_zeros_has_a_code_of_zeros() -> None:
    bank, features = problem()
    found = ADMM().solve(bank, torch.zeros_like(features), WEIGHT, "audio")
    assert not found.code.any()
    assert not found.gap.any()


def test_a_large_weight_gives_zeros() -> None:
    bank, features = problem()
    assert not ADMM().solve(bank, features, 1e6, "visual").code.any()


def released(
    atoms: np.ndarray, feature: np.ndarray, step: float, weight: float, most: int
) -> tuple[np.ndarray, int]:
    """The code and the number of iterations of one clip, written from the released facts alone."""
    code, change, iterations = np.zeros(atoms.shape[1]), np.inf, 0
    while change >= 8e-4 and iterations < most:
        moved = code + step * atoms.T @ (feature - atoms @ code)
        shrunk = np.sign(moved) * np.maximum(np.abs(moved) - step * weight, 0)
        change = np.linalg.norm(shrunk - code)
        code, iterations = shrunk, iterations + 1
    return code, iterations


@pytest.mark.parametrize("atoms", [40, 12])
@pytest.mark.parametrize("weight", [0.1, 20.0])  # the paper's, and one that empties coefficients
@pytest.mark.parametrize(("step", "most"), [(2e-4, 2000), (2e-4, 15), (5e-5, 2000)])
def test_the_released_iteration_is_the_released_codes(
    atoms: int, weight: float, step: float, most: int
) -> None:
    bank, features = problem(atoms=atoms, clips=3)
    exact = Bank.of(bank.atoms.double())
    solver = ReleasedISTA(step_visual=step, max_iterations=most)
    solution = solver.solve(exact, features.double(), weight, "visual")
    for clip, feature in enumerate(features.double().numpy()):
        code, iterations = released(exact.atoms.numpy(), feature, step, weight, most)
        np.testing.assert_allclose(solution.code[clip].numpy(), code, rtol=1e-9, atol=1e-12)
        assert int(solution.iterations[clip]) == iterations
    assert weight < 1 or (solution.code == 0).any()


def test_the_released_iteration_ends_in_the_minimizer_for_twice_the_weight() -> None:
    """Its gradient is that of half the squared error, and its threshold has the whole lambda."""
    bank, features = problem(atoms=12, clips=2)
    exact, features = Bank.of(bank.atoms.double()), features.double()
    step = 0.5 / float(exact.singular[0].square())
    solver = ReleasedISTA(step, tolerance=1e-12, max_iterations=20_000)
    code = solver.solve(exact, features, 5.0, "audio").code
    torch.testing.assert_close(code, lasso(exact, features, 10.0), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(("step", "most"), [(2e-4, 2000), (4e-5, 2000), (4e-5, 40)])
@pytest.mark.parametrize("atoms", [40, 12])
def test_the_closed_form_is_within_its_bound_of_the_released_iteration(
    step: float, most: int, atoms: int
) -> None:
    bank, features = problem(atoms=atoms)
    exact, features = Bank.of(bank.atoms.double()), features.double()
    solver = SpectralISTA(step_audio=step, max_iterations=most)
    solution = solver.solve(exact, features, WEIGHT, "audio")
    for clip, feature in enumerate(features.numpy()):
        code, theirs = released(exact.atoms.numpy(), feature, step, WEIGHT, most)
        ours = int(solution.iterations[clip])
        bound = max(ours, theirs) * step * WEIGHT * atoms**0.5 + abs(ours - theirs) * 8e-4
        assert np.linalg.norm(solution.code[clip].numpy() - code) <= bound
        assert bound < np.linalg.norm(code) / 5  # it says something


def test_the_closed_form_takes_the_steps_that_its_own_iteration_takes() -> None:
    bank, features = problem()
    ours = SpectralISTA(step_visual=2e-4).solve(bank, features, 0.0, "visual")
    theirs = ReleasedISTA(step_visual=2e-4).solve(
        bank, features, 0.0, "visual"
    )  # without any shrinkage
    assert torch.equal(ours.iterations, theirs.iterations)
    torch.testing.assert_close(ours.code, theirs.code, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("solver", [ReleasedISTA, SpectralISTA])
def test_a_step_that_the_released_code_refuses_is_refused(
    solver: type[ReleasedISTA | SpectralISTA],
) -> None:
    bank, features = problem()
    limit = 1 / float(torch.linalg.eigvalsh(bank.atoms.double().T @ bank.atoms.double())[-1])
    solver(step_audio=0.999 * limit).solve(bank, features, WEIGHT, "audio")
    message = r"step_audio=[\d.e-]+ is too large for this bank.*; it has to be at most 0\.\d+"
    with pytest.raises(UserError, match=message):
        solver(step_audio=1.001 * limit).solve(bank, features, WEIGHT, "audio")


def restorer(bank: Bank, gradient: str, **settings: float) -> Restorer:
    solver = ADMM(gap=1e-6, max_iterations=3000)
    options = {"weight": WEIGHT, "mixing": 0.5, **settings}
    made = Restorer("audio", len(bank.atoms), solver, gradient=gradient, **options)
    made.fill(bank.atoms.T)
    return made


def pulled_back(made: Restorer, features: Tensor, vectors: Tensor) -> Tensor:
    free = features.clone().requires_grad_()
    return torch.autograd.grad(made(free), free, vectors)[0]


def test_the_implicit_gradient_is_the_unrolled_one_and_that_of_finite_differences() -> None:
    """In float64 and near convergence, as the unrolled gradient converges slower than the code."""
    bank, features = problem(clips=5)
    features, rng = features.double(), torch.Generator().manual_seed(2)
    vectors, direction = (torch.randn(features.shape, generator=rng).double() for _ in range(2))
    made = {g: restorer(Bank.of(bank.atoms.double()), g) for g in ("implicit", "unrolled")}
    for one in made.values():
        one.solver = ADMM(gap=1e-13, max_iterations=4000)
    implicit, unrolled = (pulled_back(one, features, vectors) for one in made.values())
    assert ((implicit - unrolled).norm(dim=1) <= 1e-3 * unrolled.norm(dim=1)).all()

    def moved(h: float) -> Tensor:
        return made["implicit"](features + h * direction)

    differences = (moved(1e-5) - moved(-1e-5)) / 2e-5
    torch.testing.assert_close(
        (implicit * direction).sum(1), (differences * vectors).sum(1), rtol=1e-3, atol=1e-3
    )


def test_the_straight_through_gradient_is_the_identity() -> None:
    bank, features = problem()
    vectors = torch.ones_like(features)
    assert torch.equal(pulled_back(restorer(bank, "straight_through"), features, vectors), vectors)


def test_the_gradient_changes_no_value() -> None:
    bank, features = problem()
    values = [restorer(bank, g)(features) for g in ("implicit", "unrolled", "straight_through")]
    torch.testing.assert_close(values[0], values[1])
    torch.testing.assert_close(values[0], values[2])


def test_straight_through_is_lent_for_a_while() -> None:
    made = restorer(problem()[0], "implicit")
    modules = torch.nn.ModuleDict({"audio": made})
    with straight_through(modules):
        assert made.gradient == "straight_through"
    assert made.gradient == "implicit"


def test_memory_of_the_implicit_gradient_does_not_grow_with_iterations() -> None:
    bank, features = problem()
    kept = []

    def keep(x: Tensor) -> Tensor:
        kept.append(x.numel())
        return x

    for iterations in (10, 1000):
        made = restorer(bank, "implicit")
        made.solver = ADMM(gap=1e-30, max_iterations=iterations)
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
            made(features.clone().requires_grad_())
        kept.append(-1)
    split = kept.index(-1)
    assert kept[:split] == kept[split + 1 : -1]


def test_projection_with_an_atom_twice_and_with_none() -> None:
    atoms = torch.eye(4)[:, :2]
    atoms = torch.cat([atoms, atoms[:, :1]], 1)
    vectors = torch.arange(1.0, 9).view(2, 4)
    support = torch.tensor([[True, False, True], [False, False, False]])
    found = project(vectors, atoms, atoms.double().T @ atoms.double(), support)
    torch.testing.assert_close(found, torch.tensor([[1.0, 0, 0, 0], [0, 0, 0, 0]]))


def test_mixing_is_the_share_of_the_restored_embedding() -> None:
    bank, features = problem()
    none, half, whole = (restorer(bank, "implicit", mixing=m)(features) for m in (0.0, 0.5, 1.0))
    torch.testing.assert_close(none, features)
    torch.testing.assert_close(half, (whole + features) / 2)


def test_an_empty_memory_is_refused() -> None:
    with pytest.raises(RuntimeError, match="audio memory is empty"):
        Restorer("audio", 4, ADMM(), weight=0.1, mixing=0.5, gradient="implicit")(torch.ones(1, 4))


def test_the_bank_travels_in_the_state() -> None:
    bank, features = problem()
    made, other = (
        restorer(bank, "implicit"),
        Restorer("audio", 24, ADMM(1e-6), weight=0.1, mixing=0.5, gradient="implicit"),
    )
    other.load_state_dict(made.state_dict())
    assert list(made.state_dict()) == ["atoms"]
    torch.testing.assert_close(other(features), made(features), rtol=1e-4, atol=1e-4)
