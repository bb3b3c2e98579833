"""The error claims that could not be tried when the file was read (MatMul, Softmax, Conv …), tried on small random tensors in fp64.

onnx's own reference evaluator runs both sides, so that nothing of this compiler but the rule itself is on trial.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...grammar.check.rule_tape import NotElementwise, tape_of
from ...targets.model import Target
from ...targets.rule_spec import RuleSpec
from ..errors import TargetError

if TYPE_CHECKING:
    import onnx

ENOUGH = 6
"""Examples on which a claim must hold."""
ROUNDING = 1e-6
"""Relative: constants are written in decimal, to seven digits or more."""


def try_rules(target: Target) -> tuple[str, ...]:
    """Raises TargetError for a rule whose claim does not hold; returns a sentence for each that no example was found for."""
    notes = []
    for spec in target.rules:
        try:
            tape_of(spec)
        except NotElementwise:
            if not _try(spec):
                notes.append(f"the claim of rule {spec.name} ({spec.origin}) was not tried: no small tensors fit its match")
    return tuple(notes)


def _try(spec: RuleSpec) -> int:
    """On how many examples the claim held."""
    from onnx.shape_inference import InferenceError, infer_shapes

    from ...passes.graph.graph import Graph
    from ...passes.rule.apply import apply
    from ...passes.rule.compile_rule import compile_rule
    from ...passes.rule.rule_examples import examples

    held = 0
    for model in examples(spec):
        try:
            before = infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
        except (InferenceError, RuntimeError):
            continue
        graph = Graph(before)
        if not any(decision.taken for decision in apply(graph, [compile_rule(spec)])):
            continue
        held += _compare(spec, before, graph.to_model())
        if held == ENOUGH:
            break
    return held


def _compare(spec: RuleSpec, before: onnx.ModelProto, after: onnx.ModelProto) -> bool:
    """Whether both sides ran and agree. Raises TargetError where they do not."""
    import numpy as np
    from onnx.reference import ReferenceEvaluator

    generator = np.random.default_rng(0)
    low, high = spec.over or (-3.0, 3.0)
    shapes = {v.name: tuple(d.dim_value for d in v.type.tensor_type.shape.dim) for v in before.graph.input}
    feeds: dict[str, Any] = {name: generator.uniform(low, high, shape) for name, shape in shapes.items()}
    try:
        with np.errstate(all="ignore"):
            expected, got = (ReferenceEvaluator(model).run(None, feeds) for model in (before, after))
    except Exception:  # the reference evaluator raises whatever its operators raise, and lacks some
        return False
    for theirs, ours in zip(expected, got, strict=True):
        finite = np.isfinite(theirs)
        scale = max(1.0, float(np.abs(theirs[finite]).max(initial=0.0)))
        error = float(np.abs(np.where(finite, ours - theirs, 0.0)).max(initial=0.0)) if ours.shape == theirs.shape else float("inf")
        if not error <= (spec.error or 0.0) + ROUNDING * scale:
            sizes = ", ".join(f"{name} {list(shape)}" for name, shape in shapes.items())
            claimed = f"{spec.error:g}" if spec.error is not None else f"'{spec.claim}'"
            message = f"rule {spec.name} is off by {error:.4g} on random tensors ({sizes}), and claims {claimed}"
            raise TargetError(message, where=str(spec.origin), help="fix the formula or its error claim")
    return True
