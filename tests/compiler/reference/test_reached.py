"""Which sides an operator's values reached."""

from __future__ import annotations

import numpy as np
import pytest

from autoglmc.compiler.reference.kernels.call import Call
from autoglmc.compiler.reference.reached import reached


def sides(operator: str, *inputs: object, domain: str = "", **attributes: object) -> set[str]:
    arrays = tuple(None if value is None else np.asarray(value) for value in inputs)
    call = Call(operator=operator, domain=domain, version=18, attributes=attributes, inputs=arrays, dtypes=("",) * len(arrays), outputs=1)
    return set(reached(call, ()))


@pytest.mark.parametrize(
    ("x", "found"),
    [
        ([-1.0], {"below"}), ([0.0, 6.0], {"inside"}), ([6.5, 3.0], {"inside", "above"}), ([np.nan], set()), ([], set()),
        ([-np.inf, np.inf], {"below", "above"}),
    ],
)  # fmt: skip
def test_a_clip_by_operands_and_by_attributes(x: list[float], found: set[str]) -> None:
    assert sides("Clip", x, 0.0, 6.0) == sides("Clip", x, min=0.0, max=6.0) == found


def test_a_clip_with_one_bound_and_of_integers() -> None:
    assert sides("Clip", [-5.0, 500.0], None, 6.0) == {"inside", "above"}
    assert sides("Clip", np.array([-5, 500]), np.array(-3)) == {"below", "inside"}


def test_hard_sigmoid_and_hard_swish() -> None:
    assert sides("HardSigmoid", [-2.6, 2.6]) == {"below", "above"}
    assert sides("HardSigmoid", [-2.6, 2.6], alpha=1 / 6) == {"inside"}
    assert sides("HardSigmoid", [-4.0], alpha=-1.0) == {"above"}
    assert sides("HardSwish", [-3.1, 3.0]) == {"below", "inside"}


def test_pieces() -> None:
    assert sides("Relu", [0.0]) == set() and sides("Relu", [1.0]) == {"above"} and sides("Elu", [-1.0, 1.0]) == {"below", "above"}
    assert sides("ThresholdedRelu", [1.5], alpha=2.0) == {"below"} and sides("ThresholdedRelu", [1.5]) == {"above"}
    assert sides("PRelu", [-1.0, 1.0], [0.1, 0.1]) == {"below", "above"}


def test_conditions() -> None:
    assert sides("Where", [True, False], 1.0, 2.0) == {"true", "false"}
    assert sides("If", True) == {"true"} and sides("If", [False]) == {"false"}


def test_of_max_and_min_the_operand_that_was_taken() -> None:
    assert sides("Max", [1.0, 5.0], [2.0, 5.0]) == {"second"} and sides("Max", [3.0], [2.0]) == {"first"}
    assert sides("Min", [1.0, 5.0], 2.0) == {"first", "second"} and sides("Min", [1.0], [2.0]) == {"first"}
    assert sides("Max", [1.0]) == sides("Max", [1.0], None) == sides("Max", [1.0], [2.0], [3.0]) == set()


def test_others_have_no_sides() -> None:
    assert sides("Add", [1.0], [2.0]) == sides("Clip", [1.0], 0.0, domain="com.other") == set()
