"""Sparse coding against scikit-learn, its duality gap, and the gradients through it."""

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


def lasso(bank: Bank, features: Tensor) -> Tensor:
    atoms = bank.atoms.double().numpy()
    model = Lasso(alpha=WEIGHT / 2 / len(atoms), fit_intercept=False, tol=1e-12, max_iter=2_000_000)
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


def test_the_released_iteration_is_proximal_gradient_descent() -> None:
    bank, features = problem(clips=1)
    step, code = 2e-4, torch.zeros(1, bank.atoms.shape[1])
    iterations, change = 0, 1.0
    while change >= 8e-4:
        residual = features - code @ bank.atoms.T
        moved = code + 2 * step * residual @ bank.atoms
        before, code = code, moved.sign() * (moved.abs() - step * WEIGHT).clamp(min=0)
        iterations, change = iterations + 1, float((code - before).norm())
    found = ReleasedISTA(step_visual=step).solve(bank, features, WEIGHT, "visual")
    torch.testing.assert_close(found.code, code)
    assert found.iterations.tolist() == [iterations]


@pytest.mark.parametrize(("step", "most"), [(2e-4, 2000), (2e-5, 2000), (2e-5, 40)])
@pytest.mark.parametrize("atoms", [40, 12])
def test_the_closed_form_is_within_its_bound_of_the_released_iteration(
    step: float, most: int, atoms: int
) -> None:
    bank, features = problem(atoms=atoms)
    theirs = ReleasedISTA(step_audio=step, max_iterations=most).solve(
        bank, features, WEIGHT, "audio"
    )
    ours = SpectralISTA(step_audio=step, max_iterations=most).solve(bank, features, WEIGHT, "audio")
    apart = (ours.iterations - theirs.iterations).abs()
    bound = (
        torch.maximum(ours.iterations, theirs.iterations) * step * WEIGHT * atoms**0.5
        + apart * 8e-4
    )
    assert ((ours.code - theirs.code).norm(dim=1) <= bound + 1e-5).all()
    assert (bound < theirs.code.norm(dim=1) / 5).all()  # it says something


def test_the_closed_form_takes_the_steps_that_its_own_iteration_takes() -> None:
    bank, features = problem()
    ours = SpectralISTA(step_visual=2e-4).solve(bank, features, 0.0, "visual")
    theirs = ReleasedISTA(step_visual=2e-4).solve(
        bank, features, 0.0, "visual"
    )  # without any shrinkage
    assert torch.equal(ours.iterations, theirs.iterations)
    torch.testing.assert_close(ours.code, theirs.code, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("solver", [ReleasedISTA, SpectralISTA])
def test_a_step_that_diverges_is_refused(solver: type[ReleasedISTA | SpectralISTA]) -> None:
    bank, features = problem()
    with pytest.raises(
        UserError, match=r"step_audio=1 diverges on this bank; it has to be below 0\.\d+"
    ):
        solver(step_audio=1).solve(bank, features, WEIGHT, "audio")


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
