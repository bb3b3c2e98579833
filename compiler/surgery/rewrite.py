"""`autoglmc.rewrite`: the graph as the compiler works on it, for whoever edits models with onnx_graphsurgeon."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from ...targets.model import Target
from ..errors import UsageError
from ..exchange.to_gs import surgeon_graph
from ..hw.load_target import load_target
from ..load.bind_shapes import Shapes, shape_flags
from ..load.load_model import load_model
from ..load.source import Model, source_of
from ..pipeline.rules import check_rules
from ..pipeline.run_passes import check_pass, run_passes
from ..pipeline.whole_model import whole_model
from ..plan.plan_model import start

if TYPE_CHECKING:
    import onnx_graphsurgeon as gs

SIMPLE, REALISED = "simplify", "realise-placement"
"""After which pass the graph is given back: without a target, and with one."""
NO_TARGET = "x86_cpu"
"""Stands in where none is given: recovering and simplifying ask no target."""


def rewrite(
    model: Model,
    target: str | Path | Target | None = None,
    *,
    shapes: Shapes | None = None,
    disable: Iterable[str] = (),
    after: str = "",
    effort: float = 1.0,
) -> gs.Graph:
    """The model's graph recovered and simplified: what exporters scattered is one operator again (Gelu, LayerNormalization, …), shape
    arithmetic is folded, names of the tensors that are left stay. With a target: as its devices will run it, the rewrites of the fastest
    placement applied.

    The graph is one that `autoglmc.compile` takes; what gs.Graph has no place for (metadata, doc strings) it remembers
    for that. `gs.export_onnx` does not know of it and writes the graph without.
    shapes: sizes of dynamic dims; only a target needs them all. disable: names of rules not to use. after: the pass after which the graph
    is given back, default "simplify" without a target and "realise-placement" with one. effort: times the placement solver's time limit.

    Raises UserError: ModelError for a model that is damaged or that a gs.Graph cannot carry (a sequence, an attribute that is a type …),
    TargetError and Infeasible where the target cannot run it."""
    name = check_pass(after or (SIMPLE if target is None else REALISED))
    if target is None and name not in ("recover", SIMPLE):
        raise UsageError(f"the graph after '{name}' needs a target", help="rewrite(model, target)")
    machine = target if isinstance(target, Target) else load_target(target or NO_TARGET)
    source = source_of(model)
    loaded = load_model(source, shapes)
    if target is not None and loaded.unbound:
        help = f"bind them: {shape_flags(loaded.proto)}"
        raise UsageError(f"dynamic dims without a size: {', '.join(loaded.unbound)}", where=str(source), help=help)
    work = start(loaded, machine, effort, without=check_rules(disable, machine))
    run_passes(work, lambda _: nullcontext(), until=name)
    return surgeon_graph(whole_model(work))
