"""What the choice of forms counts on is what the placement of the written graph costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
import pytest
from breadth import long
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from autoglmc.compiler.hw.load_target import load_target
from autoglmc.compiler.plan.plan_model import rules_for
from autoglmc.compiler.precision.choose import COST_FORMS, name_operators, written_copies
from autoglmc.compiler.precision.plain_model import plain_model
from autoglmc.passes.graph.graph import Graph
from autoglmc.passes.place.place_operators import ask, state
from autoglmc.passes.precision.choose_forms import form_problem, form_question
from autoglmc.passes.precision.quantise import quantise
from autoglmc.passes.precision.scales import Range
from autoglmc.passes.precision.unit_forms import unit_forms, without_idle_moves
from autoglmc.passes.solve.price import price
from autoglmc.targets.precision import Form

TOLERANCE, WEIGHTS_TOLERANCE = 0.03, 0.15
"""Relative. Of weights in integers: an operator behind its DequantizeLinear may run on fewer devices than the one it shares a kernel with,
and then the placement, which gathers operators by that, prices two kernels."""
ACTIVATIONS, WEIGHTS = ("fp32", "fp16", "a16w8", "a8w8"), ("fp32", "w8", "w4")
"""Forms that are mixed: the placement takes an operator of float weights between operators in integers for one in integers as well."""
IMAGE, ROWS = (1, 16, 12, 12), (1, 24, 64)
IMAGE_KINDS = (
    "Conv({x}, conv)", "Conv<group=16>({x}, each)", "Relu({x})", "HardSwish({x})", "Sigmoid({x})", "Add({x}, {y})", "Mul({x}, {y})",
    "HardSigmoid({x})", "Clip({x}, zero, six)", "InstanceNormalization({x}, bias, bias)", "Sub({x}, {y})", "Tanh({x})",
)  # fmt: skip
ROW_KINDS = (
    "MatMul({x}, square)", "Add({x}, row)", "Gelu({x})", "Softmax({x})", "LayerNormalization<axis=-1>({x}, row, row)", "Add({x}, {y})",
    "Mul({x}, {y})", "Transpose<perm=[0,2,1]>({x})", "Erf({x})",
)  # fmt: skip


def graph_of(images: bool, steps: list[tuple[int, int]]) -> Graph:
    """A chain of operators with residuals; Transpose is taken back at once."""
    kinds, shape = (IMAGE_KINDS, IMAGE) if images else (ROW_KINDS, ROWS)
    random, values, lines = np.random.default_rng(0), ["x"], []
    for k, (kind, other) in enumerate(steps):
        text = kinds[kind % len(kinds)].format(x=values[-1], y=values[other % len(values)])
        if text.startswith("Transpose"):
            lines.append(f"u{k} = {text}")
            text = f"Transpose<perm=[0,2,1]>(u{k})"
        lines.append(f"t{k} = {text}")
        values.append(f"t{k}")
    kind = f"float[{','.join(map(str, shape))}]"
    model = onnx.parser.parse_model(
        f'<ir_version: 10, opset_import: ["": 21]> g ({kind} x) => ({kind} {values[-1]}) {{ {" ".join(lines)} }}'
    )
    arrays = {
        "conv": random.standard_normal((16, 16, 1, 1)), "each": random.standard_normal((16, 1, 1, 1)), "bias": np.ones(16),
        "zero": np.zeros(()), "six": np.array(6.0), "square": random.standard_normal((64, 64)), "row": np.ones(64),
    }  # fmt: skip
    read = {name for node in model.graph.node for name in node.input}
    model.graph.initializer.extend(onnx.numpy_helper.from_array(a.astype(np.float32), n) for n, a in arrays.items() if n in read)
    graph = Graph(onnx.shape_inference.infer_shapes(model, strict_mode=True))
    name_operators(graph)
    return graph


def between_integers(graph: Graph, forms: Mapping[str, Form]) -> bool:
    """Whether an operator in floats computes on nothing but what was in integers, for readers in integers: then a runtime sees an operator
    in integers, which takes less time than was counted."""
    quantised = {name for name, form in forms.items() if form.quantised}
    for node in graph.nodes:
        made = [name for name in node.inputs if name not in graph.constants]
        inside = node.writes[0] not in quantised and quantised.issuperset(made) and len(made) == len(node.inputs)
        users = graph.users(node.writes[0])
        if inside and users and all(user.writes[0] in quantised for user in users):
            return True
    return False


def counted_and_placed(
    graph: Graph, name: str, device: int, mixed: Sequence[str], seed: int, ruled: bool = False
) -> tuple[float | None, float | None]:
    """Seconds of a random mixture of forms on one device, as the problem of forms has it and as the placement of the written graph does;
    None where it does not run there."""
    target, ranges = load_target(name), {tensor: Range(-1.0, 1.0) for node in graph.nodes for tensor in (*node.inputs, *node.outputs)}
    ranges |= {node.outputs[0]: Range(0.0, 1.0) for node in graph.nodes if node.operator == "Relu"}
    rules = rules_for(target, ()) if ruled else ((), {})
    asked = ask(Graph(plain_model(graph)), target, *rules)
    question = form_question(asked, unit_forms(asked.graph, target))
    copies = {form: written_copies(graph, question, rules, form, ranges) for form in COST_FORMS}
    problem, names = form_problem(question, copies, {})
    random = np.random.default_rng(seed)
    allowed = [[k for k, form in enumerate(row[device]) if form in mixed] or [0] for row in names]
    options = [int(random.choice(row)) for row in allowed]
    forms: dict[str, Form] = {}
    for unit, (row, option) in enumerate(zip(names, options, strict=True)):
        forms |= question.written(unit, target.devices[device].name, row[device][option]) if row[device] else {}
    assume(without_idle_moves(graph, forms) == forms and not between_integers(graph, forms))
    counted = price(problem, [device] * len(names), options)
    copy = Graph(plain_model(graph))
    quantise(copy, forms, ranges)
    written = state(ask(Graph(plain_model(copy)), target, *rules)).problem
    placed = price(written, [device] * len(written.units))
    return counted and counted.total, placed and placed.total


@pytest.mark.parametrize("mixed", [ACTIVATIONS, WEIGHTS])
@pytest.mark.parametrize(
    ("target", "device"),
    long(
        [("x86_cpu", 0), ("snapdragon_8gen3", 0), ("snapdragon_8gen3", 2), ("tensor_g2", 0), ("tensor_g2", 1), ("a16", 0)],
        [("x86_cpu", 0)],  # two calibrated CPUs differ in numbers only
    ),
)
@settings(max_examples=25)
@given(st.booleans(), st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99)), min_size=1, max_size=10), st.integers(0, 9))
def test_the_placement_costs_what_the_choice_counted_on(
    target: str, device: int, mixed: Sequence[str], images: bool, steps: list[tuple[int, int]], seed: int
) -> None:
    """Of any mixture; what a device does not run in one view it does not run in the other."""
    counted, placed = counted_and_placed(graph_of(images, steps), target, device, mixed, seed)
    assert (counted is None) == (placed is None)
    if counted is not None:
        assert placed == pytest.approx(counted, rel=TOLERANCE if mixed == ACTIVATIONS else WEIGHTS_TOLERANCE)


@pytest.mark.parametrize(("target", "device"), [("tensor_g2", 0), ("tensor_g2", 1), ("a16", 0), ("snapdragon_8gen3", 0)])
@settings(max_examples=25)
@example(False, [(0, 0), (1, 0)], 1)
@example(False, [(2, 0), (0, 0), (1, 0), (2, 0)], 1)
@given(st.booleans(), st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99)), min_size=1, max_size=6), st.integers(0, 9))
def test_operators_that_a_device_runs_by_a_rule_cost_what_was_counted(
    target: str, device: int, images: bool, steps: list[tuple[int, int]], seed: int
) -> None:
    """Such an operator may lack a form that others of its unit have: changes of form inside the unit count."""
    counted, placed = counted_and_placed(graph_of(images, steps), target, device, ACTIVATIONS, seed, ruled=True)
    assert (counted is None) == (placed is None)
    if counted is not None:
        assert placed == pytest.approx(counted, rel=WEIGHTS_TOLERANCE)
