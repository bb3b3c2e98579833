"""What a verdict rests on, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..quantities import count
from .compare import TensorDifference
from .terms import COSINE, Terms

MOST = 3
"""Outputs whose rounding is named."""


def grounds(
    outputs: Sequence[TensorDifference], labels: Sequence[str], terms: Terms, unchecked: Mapping[str, str], untested: Sequence[str] = ()
) -> str:
    """One clause: on how many inputs how many outputs were compared with what, and within which limits."""
    compared = f"{count(len(outputs), 'output')} on {count(len(labels), 'input set')} against a float64 reference"
    doubt = f" ({count(len(unchecked), 'operator')} of which rest on one implementation)" if unchecked else ""
    left = f"; not exercised: {count(len(untested), 'thing')}, listed as untested" if untested else ""
    return f"{compared}{doubt}, {limits_of(outputs, terms)}{left}"


def limits_of(outputs: Sequence[TensorDifference], terms: Terms) -> str:
    """The limits that outputs were judged by, with what they are."""
    if terms.free:
        return "within the target's limits"
    loose = f" and {terms.loose:g} of a standard deviation for approximations" if terms.loose else ""
    real = [d for d in outputs if d.rounding]
    named = [f"{d.name}: {d.max_abs:.2g} of {terms.largest * d.rounding:.2g}" for d in real[:MOST]]
    more = f", … {len(real) - MOST} more" if len(real) > MOST else ""
    shown = f" ({', '.join(named)}{more})" if named else ""
    return f"within {terms.largest:g} times {terms.rounding}{loose}{shown}, cosine of each >= {COSINE:g}"
