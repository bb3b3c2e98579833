"""The operator cases that the ONNX standard ships, as probe cases: they go through the values of the attributes one by one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ...targets.operators import key_of, version_at
from ..devices.silence import silenced
from .case import NEWEST, OLDEST, Case, make_case

if TYPE_CHECKING:
    import onnx


UNSEEN = frozenset({"test_clip_min_greater_than_max"})
"""Cases that depend on the values of a weight, which a table's conditions cannot see; no real model has them."""


def standard_cases(operators: frozenset[str]) -> Iterator[Case]:
    """Every case of one operator of `operators`: with all operands fed, and with all but the first as weights."""
    import numpy
    import onnx

    for given in _collected():
        model = given.model
        if len(model.graph.node) != 1 or given.name in UNSEEN:
            continue
        node = model.graph.node[0]
        opset = _first_opset(node, model)
        if key_of(node.domain, node.op_type) not in operators or opset is None:
            continue
        data = given.data_sets[0][0]
        if not all(isinstance(value, numpy.ndarray | numpy.generic | onnx.TensorProto) for value in data):
            continue
        arrays = {info.name: _array(value) for info, value in zip(model.graph.input, data, strict=True)}
        values = [arrays.get(name) for name in node.input]
        for label, constants in (("", frozenset[int]()), (", weights", frozenset(range(1, len(values))))):
            if (constants or not label) and (case := make_case(f"{given.name}{label}", node, values, constants, opset)):
                yield case


def _first_opset(node: onnx.NodeProto, model: onnx.ModelProto) -> int | None:
    """The first opset from OLDEST on that has this version of the operator; None if it is newer than NEWEST."""
    declared = next((entry.version for entry in model.opset_import if entry.domain == node.domain), 1)
    if node.domain:
        return declared
    version = version_at(node.op_type, declared)
    if version is None or version.since > NEWEST:
        return None
    return max(version.since, OLDEST)


def _array(value: Any) -> Any:
    import numpy
    import onnx

    return onnx.numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else numpy.asarray(value)


def _collected() -> list[Any]:
    """All of them. Takes 8 s, since their expected outputs are computed, and C code writes to stderr meanwhile."""
    import warnings

    import numpy
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings(), numpy.errstate(all="ignore"), silenced(2):
        warnings.simplefilter("ignore")
        return list(collect_testcases(None))
