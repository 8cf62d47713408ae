"""Any module of the package can be imported first; all libraries compute correctly afterwards."""

import subprocess
import sys

import pytest

from tests.test_layers import modules

# Libraries with native code that our modules load in one order or another, and work for each.
WORK = """
import av, avrobust.preparation.frames, librosa, scipy.linalg, sklearn.cluster, soundfile
import torch, numpy as np
values = np.random.default_rng(0).normal(size=(300, 300)).astype("float32")
product = torch.from_numpy(values) @ torch.from_numpy(values)
assert np.allclose(product.numpy(), values @ values, atol=1e-3)
torch.nn.functional.conv2d(torch.ones(2, 3, 32, 32), torch.ones(4, 3, 3, 3))
sklearn.cluster.KMeans(3, n_init=1).fit(values)
scipy.linalg.svd(values[:50, :50])
"""
LIBRARIES_FIRST = ("preparation.frames", "preparation.prepare", "evaluation.metrics")


def import_first(name: str) -> "subprocess.CompletedProcess[str]":
    code = f"import {name}\n{WORK}"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


@pytest.mark.parametrize("name", LIBRARIES_FIRST)
def test_modules_that_load_libraries_can_be_first(name: str) -> None:
    done = import_first(f"avrobust.{name}")
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", modules())
def test_every_module_can_be_first(name: str) -> None:
    done = import_first(f"avrobust.{name}")
    assert done.returncode == 0, done.stderr
