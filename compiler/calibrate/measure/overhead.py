"""What a runtime and its profiler take besides the operators, from chains of operators that compute nothing to speak of."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from .ports import ports_of
from .source import Profile, Runnable, Source

if TYPE_CHECKING:
    import onnx

SHORT, LONG = 8, 64
KINDS = ("Neg", "Abs")
"""In turn: no optimiser joins them, and one element takes a few nanoseconds."""
BUDGET = 0.08
LEAST_CALLS, LEAST_MODELS, SMALL, MOST = 20, 3, 15e-6, 3.0
"""Of models that tell the profiler's own time: operators, how many models, seconds of an operator; and what is believed at most."""


OWN, TINY = 2.0, 5e-6
"""Times what the profiler usually takes of an operator that it may take in one model, whose operators take fewer seconds than these."""


@dataclass(frozen=True, slots=True)
class Overhead:
    """Seconds that no operator is to blame for."""

    profiler: float
    """That the profiler reports for an operator beyond its time, launch included."""
    launch: float
    """Per operator, without the profiler."""
    dispatch: float
    """Per run, without the profiler."""


NONE = Overhead(0.0, 0.0, 0.0)


def measure_overhead(source: Source) -> Overhead:
    """Raises BundleError where the runtime refuses a chain of Neg and Abs."""
    with tempfile.TemporaryDirectory(prefix="autoglmc-") as folder:
        chains = [_chain(length, Path(folder)) for length in (SHORT, LONG)]
        short, long = (min(source.latency(chain, BUDGET).seconds for _ in range(3)) for chain in chains)
        profiles = [source.profile(chains[1], long, BUDGET) for _ in range(3)]
    launch = max(0.0, (long - short) / (LONG - SHORT))
    profiler = min((profile.seconds / profile.calls for profile in profiles if profile.calls), default=0.0)
    return Overhead(profiler, launch, max(0.0, short - SHORT * launch))


def refined(overhead: Overhead, seen: Sequence[tuple[Profile, float]]) -> Overhead:
    """With what the profiler takes in real models, (profile, latency) each: more than in a chain, as it also writes down operands. The
    middle of those whose operators are so small that it shows; the chains' where there are too few."""
    found = [_own(overhead, *one) for one in seen if one[0].calls >= LEAST_CALLS and one[1] < SMALL * one[0].calls]
    if len(found) < LEAST_MODELS:
        return overhead
    return replace(overhead, profiler=min(max(overhead.profiler, sorted(found)[len(found) // 2]), MOST * overhead.profiler))


def of_model(overhead: Overhead, profile: Profile, latency: float) -> Overhead:
    """With what the profiler takes in this model, which depends on how many operands it writes down, where the operators are so small that
    it shows: as much as makes their sum the latency, within half and twice of what it usually takes."""
    if not 0.0 < latency < TINY * profile.calls:
        return overhead
    usual = overhead.profiler
    return replace(overhead, profiler=min(max(_own(overhead, profile, latency), usual / OWN), usual * OWN))


def _own(overhead: Overhead, profile: Profile, latency: float) -> float:
    """Seconds an operator that the profiler takes if the operators take all of the latency."""
    return (profile.seconds - (latency - overhead.dispatch)) / profile.calls + overhead.launch


def _chain(length: int, folder: Path) -> Runnable:
    import onnx

    model, path = chain_of([KINDS[number % len(KINDS)] for number in range(length)], (1,)), folder / f"{length}.onnx"
    onnx.save_model(model, path)
    return Runnable(path, ports_of(model), length)


def chain_of(kinds: Sequence[str], shape: tuple[int, ...]) -> onnx.ModelProto:
    """A model of unary operators of ai.onnx, one after the other."""
    from onnx import TensorProto, helper

    nodes = [helper.make_node(kind, [f"t{k}"], [f"t{k + 1}"], name=f"n{k}") for k, kind in enumerate(kinds)]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("t0", f"t{len(nodes)}")]
    graph = helper.make_graph(nodes, "chain", ends[:1], ends[1:])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
