"""Elementary functions with the same last bit on every machine.

numpy and the C library choose an implementation of sin, exp or power by the instructions of the
processor, and these implementations differ in the last bit. So do BLAS products and products of
complex numbers. Sums, differences, products, quotients and roots of real numbers are exact by IEEE
754, so what is computed here from these alone is equal everywhere. The relative error is below
1e-14.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Reals = NDArray[Any] | float  # floating point or integers
Complexes = NDArray[np.complex128]

_LOG2_E = 1.4426950408889634
_LN_2 = 0.6931471805599453

# Coefficients of the Taylor series, from the highest power down.
_EXP2_SERIES = tuple(math.prod((_LN_2,) * k) / math.factorial(k) for k in range(14, -1, -1))
_SIN_SERIES = tuple((1 - 2 * (k % 2)) / math.factorial(2 * k + 1) for k in range(11, -1, -1))
# atanh(z) / z in powers of z squared.
_ATANH_SERIES = tuple(1 / (2 * k + 1) for k in range(12, -1, -1))


def exp2(x: Reals) -> Floats:
    """The power of 2 with exponent x."""
    whole = np.rint(x)
    return np.asarray(np.ldexp(_polynomial(_EXP2_SERIES, x - whole), whole.astype(np.int32)))


def exp(x: Reals) -> Floats:
    """The exponential function, e to the power of x."""
    return exp2(np.asarray(x) * _LOG2_E)


def log2(x: Reals) -> Floats:
    """The logarithm to base 2 of x > 0."""
    fraction, exponent = np.frexp(x)
    # With a fraction between 0.7 and 1.4, the series converges fast.
    small = fraction < 0.7
    fraction, exponent = np.where(small, 2 * fraction, fraction), exponent - small
    z = (fraction - 1) / (fraction + 1)
    return np.asarray(exponent + 2 * _LOG2_E * z * _polynomial(_ATANH_SERIES, z * z))


def power(base: Reals, exponent: Reals) -> Floats:
    """A power of base > 0."""
    return exp2(exponent * log2(base))


def sin(radians: Reals) -> Floats:
    """The sine."""
    turns = np.asarray(radians) / (2 * math.pi)
    turns = turns - np.rint(turns)
    # The sine is symmetric around a quarter of a turn: the series needs a quarter at most.
    folded = np.where(np.abs(turns) > 0.25, np.copysign(0.5, turns) - turns, turns)
    angle = 2 * math.pi * folded
    return np.asarray(angle * _polynomial(_SIN_SERIES, angle * angle))


def cos(radians: Reals) -> Floats:
    """The cosine."""
    return sin(np.asarray(radians) + math.pi / 2)


def tanh(x: Floats) -> Floats:
    """The hyperbolic tangent, for |x| < 300."""
    squared = exp(2 * x)
    return np.asarray((squared - 1) / (squared + 1))


def multiply(a: Complexes, b: Complexes) -> Complexes:
    """The product of two arrays of complex numbers."""
    product = np.empty(np.broadcast_shapes(a.shape, b.shape), complex)
    product.real = a.real * b.real - a.imag * b.imag
    product.imag = a.real * b.imag + a.imag * b.real
    return product


def _polynomial(coefficients: tuple[float, ...], x: Reals) -> Floats:
    """Evaluates a polynomial by Horner's rule; the highest power comes first."""
    value = np.full_like(x, coefficients[0], dtype=np.float64)
    for coefficient in coefficients[1:]:
        value = value * x + coefficient
    return value
