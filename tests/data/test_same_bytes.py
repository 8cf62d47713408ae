"""The generated data set has the same bytes on every machine."""

import ast
import platform
from pathlib import Path

import numpy as np
import pytest

from avrobust import synthetic
from avrobust.synthetic import exact, generate
from avrobust.synthetic.recording import render_recording
from tests.data.machines import CLIPS, fingerprints, fingerprints_on

x86_64 = pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64"), reason="the bytes are promised on x86-64"
)

# With the versions of av, numpy, scipy, Pillow and soxr in requirements.lock. Another version of
# one of them may change the bytes: raise `Settings.version` then, and measure the results anew.
PINNED = {
    "acoustic_guitar": {
        "film": "cf1d41395a582e16e6262757",
        "sound": "9ea8b0b9750f592f96c83cdc",
        "frames": "69f5aa638db4778dbc7c3064",
    },
    "xylophone": {
        "film": "788ec92e09d390f4e52e6172",
        "sound": "efb0dd4a028310bafc1e9eec",
        "frames": "d572aeaf9499009b62eddd8e",
    },
    "accordion": {
        "film": "5a6be846c5b1327eab8ef1d1",
        "sound": "491b21014cbe18ceaa4537cf",
        "frames": "5cca02ecfef5600104dc9455",
    },
}

# numpy chooses between implementations of these by the instructions of the processor.
DISPATCHED = {
    *("sin", "cos", "tan", "tanh", "sinh", "cosh", "arcsin", "arccos", "arctan", "arctan2"),
    *("exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "power", "float_power", "cbrt"),
    *("hanning", "hamming", "blackman", "kaiser", "sinc", "hypot", "logspace", "geomspace"),
    *("dot", "matmul", "inner", "vdot", "tensordot", "einsum", "convolve", "correlate"),
}


@x86_64
def test_the_bytes_of_films_and_prepared_clips_are_pinned(tmp_path: Path) -> None:
    assert {spec.label: fingerprints(spec, tmp_path) for spec in CLIPS} == PINNED


@x86_64
@pytest.mark.parametrize("machine", ["SSE 4.2", pytest.param("AVX2", marks=pytest.mark.slow)])
def test_the_bytes_are_the_same_on_a_machine_with_fewer_instructions(machine: str) -> None:
    assert fingerprints_on(machine) == PINNED


def test_one_sample_that_differs_by_one_level_changes_the_fingerprint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def render_with_an_error(*arguments: object) -> np.ndarray:
        sound = render_recording(*arguments)  # type: ignore[arg-type]
        sound[60_000] += 1 / 32_767
        return sound

    before = fingerprints(CLIPS[0], tmp_path)
    monkeypatch.setattr(generate, "render_recording", render_with_an_error)
    after = fingerprints(CLIPS[0], tmp_path)
    assert after["film"] != before["film"]
    assert after["sound"] != before["sound"]
    assert after["frames"] == before["frames"]


def test_exact_functions_agree_with_those_of_numpy() -> None:
    x = np.linspace(-40, 40, 10_001)
    above_zero = np.abs(x) + 1e-3
    assert np.ptp(exact.exp(x) / np.exp(x)) < 1e-14
    np.testing.assert_allclose(exact.exp(x), np.exp(x), rtol=1e-14)
    np.testing.assert_allclose(exact.sin(x), np.sin(x), atol=1e-14)
    np.testing.assert_allclose(exact.cos(x), np.cos(x), atol=1e-14)
    np.testing.assert_allclose(exact.tanh(x), np.tanh(x), atol=1e-15)
    np.testing.assert_allclose(exact.log2(above_zero), np.log2(above_zero), atol=1e-14)
    np.testing.assert_allclose(exact.power(above_zero, -2.3), above_zero**-2.3, rtol=1e-14)
    a, b = x + 2j * above_zero, 3 * above_zero - 1j * x
    np.testing.assert_allclose(exact.multiply(a, b), a * b, rtol=1e-14)


@pytest.mark.parametrize(
    "path", sorted(Path(synthetic.__path__[0]).glob("*.py")), ids=lambda path: path.stem
)
def test_films_use_no_function_that_depends_on_the_processor(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            name = f"{node.value.id}.{node.attr}"
            assert not (node.value.id in ("np", "math") and node.attr in DISPATCHED), name
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
            # numpy squares with a multiplication.
            assert isinstance(node.right, ast.Constant), ast.unparse(node)
            assert node.right.value == 2, ast.unparse(node)
