"""Canonical JSON is JSON of the same value, equal for equal values, and no larger than one value a line."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoglmc.compiler.bundle.canonical_json import WIDTH, canonical

SCALARS = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=30)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=12) | st.dictionaries(st.text(max_size=12), inner, max_size=8), max_leaves=30
)


def shuffled(value: Any, seed: int) -> Any:
    """The same value, keys of dicts in another order."""
    if isinstance(value, dict):
        items = [(key, shuffled(item, seed)) for key, item in value.items()]
        random.Random(seed).shuffle(items)
        return dict(items)
    return [shuffled(item, seed) for item in value] if isinstance(value, list) else value


@given(VALUES, st.integers(0, 9))
def test_it_is_the_value_whatever_the_order_of_its_keys(value: Any, seed: int) -> None:
    text = canonical(value)
    assert json.loads(text) == value and canonical(json.loads(text)) == text
    assert canonical(shuffled(value, seed)) == text


@given(VALUES)
def test_it_is_no_larger_than_one_value_a_line_and_its_lines_are_short(value: Any) -> None:
    text = canonical(value)
    assert len(text) <= len(json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False)) + 1
    single = max(len(line) for line in json.dumps(value, indent=2, ensure_ascii=False).split("\n"))
    assert max(len(line) for line in text.split("\n")) <= max(WIDTH, single)


@pytest.mark.parametrize("value", [float("nan"), [float("inf")], {"a": [-float("inf")]}])
def test_a_number_that_json_does_not_have_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical(value)
