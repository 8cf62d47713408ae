from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.support import attack, run_script, write_prepared


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("fuzz")
    group.addoption("--fuzz-seconds", type=float, default=10, help="how long each fuzz test draws")
    group.addoption("--fuzz-seed", type=int, help="repeat the one round with this seed")
    group = parser.getgroup("kills")
    group.addoption("--kills", type=int, default=30, help="at how many moments a task is killed")
    group.addoption("--kills-seed", type=int, default=0, help="of the moments")


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    # pytest-xdist runs as many workers as there are cores; more threads than that make everything
    # slower.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small prepared data set; tests must not change it."""
    root = tmp_path_factory.mktemp("prepared set")
    write_prepared(root)
    return root


@pytest.fixture(scope="session")
def attacked(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runs of one tiny model and of FGSM on it, for all tests that need just a run.

    They must not change it.
    """
    runs = tmp_path_factory.mktemp("attacked")
    done = run_script(*attack(prepared, runs, "attack=fgsm"))
    assert done.returncode == 0, done.stderr
    return runs
