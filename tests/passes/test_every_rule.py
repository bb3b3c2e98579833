"""Every rule of the library, one test: random spellings of what it matches, in random graphs, keep all that a rewrite must keep.

A spelling stands between nodes that make its inputs and nodes that read its results; its own tensors may be read elsewhere or be outputs of
the graph. Then: the rule fires (or does not, where it must not), the result is a valid graph of the same outputs, nothing around the
spelling has changed, and the values are what the rule's contract says. A longer random run: make properties.
"""

from __future__ import annotations

import os

import numpy as np
import onnx
import onnx.reference
import onnxruntime
import pytest
from hypothesis import given, settings
from rule_texts import with_rules
from spellings.entry import Entry
from spellings.own import OWN
from spellings.table import SPELLINGS
from spellings.trial import Trial, trials

from autoglmc.compiler.watch.pass_judge import broken_invariants
from autoglmc.grammar import parse_target
from autoglmc.passes.graph.graph import Graph
from autoglmc.passes.graph.versions import NEWEST
from autoglmc.passes.library import SUBSTITUTE, every_rule, named
from autoglmc.passes.rule.apply import apply
from autoglmc.passes.rule.compile_rule import compile_rule
from autoglmc.passes.rule.rewrite import Rewrite
from autoglmc.targets.stock import stock_names, stock_path

EXAMPLES = settings.default.max_examples if os.environ.get("AUTOGLMC_RANDOM") else 20
DECOMPOSED = {rule.name for rule in SUBSTITUTE}
"""Rules for devices that onnxruntime is not: it may lack the operator they write for a dtype."""
SINGLE = float(np.finfo(np.float32).eps)
Arrays = dict[str, np.ndarray]


def feeds(model: onnx.ModelProto, sizes: dict[str, int], seed: int) -> Arrays:
    """Values of either sign, neighbours along every axis of opposite ones: means are small beside deviations, and none is near 0."""
    generator, result = np.random.default_rng(seed), {}
    for value in model.graph.input:
        shape = [sizes.get(dim.dim_param, dim.dim_value) for dim in value.type.tensor_type.shape.dim]
        sign = 1 - 2 * (np.indices(shape).sum(axis=0) % 2)
        dtype = onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
        result[value.name] = np.asarray(sign * generator.choice([-1, 1]) * generator.uniform(0.3, 4.5, shape)).astype(dtype)
    return result


def declared(graph: Graph, before: onnx.ModelProto) -> onnx.ModelProto:
    """The graph as a checked model: at the opset it had, or at the newest for an operator that it did not have."""
    model = graph.to_model()
    known = {(node.domain, node.op_type) for node in before.graph.node}
    for entry in model.opset_import:
        if entry.domain == "" and any((node.domain, node.op_type) not in known for node in model.graph.node):
            entry.version = max(entry.version, NEWEST)
    onnx.checker.check_model(model, full_check=True)
    return model


def evaluate(model: onnx.ModelProto, fed: list[Arrays], by_runtime: bool) -> list[Arrays]:
    names = [output.name for output in model.graph.output]
    if by_runtime:
        session = open_session(model)
        return [dict(zip(names, map(np.asarray, session.run(None, one)), strict=True)) for one in fed]
    reference = onnx.reference.ReferenceEvaluator(model)
    return [dict(zip(names, map(np.asarray, reference.run(None, one)), strict=True)) for one in fed]


def open_session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def runnable(model: onnx.ModelProto) -> bool:
    """Whether onnxruntime has a kernel for everything; what it cannot run before is computed by onnx itself, before and after."""
    try:
        open_session(model)
    except onnxruntime.capi.onnxruntime_pybind11_state.NotImplemented:
        return False
    return True


def rounds_apart(model: onnx.ModelProto) -> bool:
    """Half precision: onnxruntime computes chains of operators in single, and where it rounds between them depends on the neighbours."""
    foreign = any(node.domain for node in model.graph.node)
    return not foreign and any(value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT16 for value in model.graph.input)


def with_everything(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with every float tensor an output, to see how large its values get."""
    copy = onnx.ModelProto.FromString(model.SerializeToString())
    known = {output.name for output in copy.graph.output}
    copy.graph.output.extend(info for info in model.graph.value_info if info.name not in known)
    return copy


def check_values(rule: Rewrite, entry: Entry, at: Trial, after: onnx.ModelProto) -> bool:
    """Whether the results follow the inputs; AssertionError where they are not what the contract says."""
    fed = [feeds(at.model, at.sizes, seed) for seed in (1, 2)]
    whole = with_everything(at.model)
    by_runtime = not rounds_apart(whole) and runnable(whole) and (rule.name not in DECOMPOSED or runnable(after))
    before, now = evaluate(whole, fed, by_runtime), evaluate(after, fed, by_runtime)
    for old, new in zip(before, now, strict=True):
        scale = largest(old)
        for name, value in new.items():
            assert value.dtype == old[name].dtype and value.shape == old[name].shape
            if rule.contract.kind == "exact":
                np.testing.assert_array_equal(value, old[name])
            else:
                assert apart(value, old[name]) <= rule.contract.absolute + rounded(entry, value, scale)
    least = 0.0 if rule.contract.kind == "exact" else max(map(largest, before))
    moves = [any(apart(two[0][name], two[1][name]) > rounded(entry, two[0][name], least) for name in now[0]) for two in (before, now)]
    assert any(not np.array_equal(now[0][name], now[1][name]) for name in now[0]) or not moves[0], "the outputs do not depend on the inputs"
    return moves[1]


def largest(arrays: Arrays) -> float:
    """The largest finite magnitude, at least 1: what roundings are counted in."""
    return max([1.0, *(float(np.abs(a[np.isfinite(a)]).max(initial=0.0)) for a in arrays.values() if a.dtype.kind == "f")])


def apart(one: np.ndarray, other: np.ndarray) -> float:
    """The largest difference; NaN, which no bound allows, where there is one. Arrays that are no floats differ by 1 or not at all."""
    if one.dtype.kind != "f":
        return float(not np.array_equal(one, other))
    return float(np.where(one == other, 0.0, np.abs(one.astype(np.float64) - other)).max(initial=0.0))


def rounded(entry: Entry, value: np.ndarray, scale: float) -> float:
    """What a result may be off by rounding alone."""
    if value.dtype.kind != "f":
        return 0.0
    return entry.roundings * max(float(np.finfo(value.dtype).eps), SINGLE if entry.single else 0.0) * scale


def check_structure(at: Trial, graph: Graph, after: onnx.ModelProto) -> None:
    """Valid, the same ends, and nothing lost of the model or of what stands around the spelling, nothing foreign added."""
    assert not broken_invariants(graph)
    before = at.model
    for name in ("ir_version", "producer_name", "producer_version", "domain", "model_version", "doc_string", "metadata_props", "functions"):
        assert getattr(after, name) == getattr(before, name), name
    assert after.graph.name == before.graph.name and after.graph.doc_string == before.graph.doc_string
    assert after.graph.metadata_props == before.graph.metadata_props
    assert after.graph.input == before.graph.input and after.graph.output == before.graph.output
    old_nodes, old_types = ({proto.name: proto for proto in protos} for protos in (before.graph.node, before.graph.value_info))
    for node in after.graph.node:
        if (old := old_nodes.get(node.name)) is not None:
            assert (node.op_type, node.attribute, node.output) == (old.op_type, old.attribute, old.output)
            assert (node.doc_string, node.metadata_props) == (old.doc_string, old.metadata_props)
        else:
            assert not node.metadata_props
    written = {name for node in after.graph.node for name in node.output}
    assert at.kept <= written
    now_types = {info.name: info for info in after.graph.value_info}
    for name in written & old_types.keys():
        assert now_types[name] == old_types[name]
    if all(value.type.tensor_type.HasField("shape") for value in (*before.graph.value_info, *before.graph.output)):
        unknown = [name for name in written if graph.tensor(name).shape is None]
        assert not unknown, f"what the rule writes has no shape, so that nobody can tell its cost: {unknown}"


@pytest.mark.parametrize("name", [rule.name for rule in every_rule()])
def test_any_spelling_anywhere(name: str) -> None:
    assert name in SPELLINGS, f"no spelling of what {name} matches: add an entry to the table of its stage in tests/spellings"
    try_anywhere(named(name), SPELLINGS[name])


@pytest.mark.parametrize("name", OWN)
def test_a_target_files_rule_anywhere(name: str) -> None:
    text, entry = OWN[name]
    try_anywhere(compile_rule(parse_target(with_rules(text), "box.hw").rules[0]), entry)


def try_anywhere(rule: Rewrite, entry: Entry) -> None:
    fired = followed = 0

    @settings(max_examples=EXAMPLES)
    @given(trials(entry))
    def check(at: Trial) -> None:
        nonlocal fired, followed
        graph = Graph(onnx.ModelProto.FromString(at.model.SerializeToString()))
        taken = [decision for decision in apply(graph, [rule]) if decision.taken]
        assert bool(taken) == at.fires, onnx.printer.to_text(at.model)
        check_structure(at, graph, graph.to_model())
        fired += bool(taken)
        followed += check_values(rule, entry, at, declared(graph, at.model))

    check()
    assert fired and followed


def test_every_rule_of_a_stock_target_is_tried() -> None:
    files = ((name, stock_path(name)) for name in stock_names())
    names = {spec.name for name, path in files for spec in parse_target(path.read_text("utf-8"), str(path)).rules}
    assert names <= set(OWN)


def test_no_entry_is_left_over() -> None:
    assert set(SPELLINGS) <= {rule.name for rule in every_rule()}
