"""The error function in float64.

W. J. Cody, "Rational Chebyshev approximations for the error function", Mathematics of Computation 23 (1969), with the coefficients of
his program CALERF (netlib specfun): relative error about 6e-19 in exact arithmetic, about 1e-16 in float64.
"""

from __future__ import annotations

import numpy as np

from .call import Value

_NEAR = 0.46875
_BLOCK = 1 << 14
"""Elements evaluated at a time, so that the intermediate arrays stay in the cache."""
_A = (3.16112374387056560e00, 1.13864154151050156e02, 3.77485237685302021e02, 3.20937758913846947e03, 1.85777706184603153e-1)
_B = (2.36012909523441209e01, 2.44024637934444173e02, 1.28261652607737228e03, 2.84423683343917062e03)
_C = (
    5.64188496988670089e-1, 8.88314979438837594e0, 6.61191906371416295e01, 2.98635138197400131e02, 8.81952221241769090e02,
    1.71204761263407058e03, 2.05107837782607147e03, 1.23033935479799725e03, 2.15311535474403846e-8,
)  # fmt: skip
_D = (
    1.57449261107098347e01, 1.17693950891312499e02, 5.37181101862009858e02, 1.62138957456669019e03, 3.29079923573345963e03,
    4.36261909014324716e03, 3.43936767414372164e03, 1.23033935480374942e03,
)  # fmt: skip
_P = (
    3.05326634961232344e-1, 3.60344899949804439e-1, 1.25781726111229246e-1, 1.60837851487422766e-2, 6.58749161529837803e-4,
    1.63153871373020978e-2,
)  # fmt: skip
_Q = (2.56852019228982242e00, 1.87295284992346725e00, 5.27905102951428412e-1, 6.05183413124413191e-2, 2.33520497626869185e-3)
_INVERSE_ROOT_PI = 5.6418958354775628695e-1


def erf(x: Value) -> Value:
    """Of an array of any shape; NaN for NaN."""
    return _blockwise(np.asarray(x, np.float64), _erf_of)


def erfc(x: Value) -> Value:
    """1 - erf(x) without cancellation where erf(x) is near 1."""
    return _blockwise(np.asarray(x, np.float64), _erfc_of)


def _blockwise(x: Value, of: Value) -> Value:
    flat = x.ravel()
    result = np.empty_like(flat)
    for start in range(0, flat.size, _BLOCK):
        result[start : start + _BLOCK] = of(flat[start : start + _BLOCK])
    return result.reshape(x.shape)


def _erf_of(x: Value) -> Value:
    size = np.abs(x)
    far = size > _NEAR
    result = np.empty_like(x)
    result[~far] = _near(x[~far])
    result[far] = np.copysign(1 - _tail(size[far]), x[far])
    return result


def _erfc_of(x: Value) -> Value:
    size = np.abs(x)
    far = size > _NEAR
    result = np.empty_like(x)
    result[~far] = 1 - _near(x[~far])
    tail = _tail(size[far])
    result[far] = np.where(x[far] < 0, 2 - tail, tail)
    return result


def _near(x: Value) -> Value:
    """erf(x) for |x| <= 0.46875, and NaN."""
    y = x * x
    top, bottom = _A[4] * y, y.copy()
    for a, b in zip(_A[:3], _B[:3], strict=True):
        top, bottom = (top + a) * y, (bottom + b) * y
    return x * (top + _A[3]) / (bottom + _B[3])


def _tail(y: Value) -> Value:
    """erfc(y) for y > 0.46875."""
    result = np.empty_like(y)
    middle = y <= 4
    m = y[middle]
    top, bottom = _C[8] * m, m.copy()
    for c, d in zip(_C[:7], _D[:7], strict=True):
        top, bottom = (top + c) * m, (bottom + d) * m
    result[middle] = (top + _C[7]) / (bottom + _D[7])
    f = y[~middle]
    if f.size:
        inverse = 1 / (f * f)
        top, bottom = _P[5] * inverse, inverse.copy()
        for p, q in zip(_P[:4], _Q[:4], strict=True):
            top, bottom = (top + p) * inverse, (bottom + q) * inverse
        result[~middle] = (_INVERSE_ROOT_PI - inverse * (top + _P[4]) / (bottom + _Q[4])) / f
    # exp(-y*y) in two factors, the first of them exact: y*y itself would be rounded, which costs y*y ulps.
    short = np.trunc(y * 16) / 16
    with np.errstate(invalid="ignore", over="ignore", under="ignore"):
        decay = np.exp(-short * short) * np.exp(-(y - short) * (y + short))
    return np.where(y < 27, result * decay, 0.0)
