"""Assumed sizes for dims without one, so that there is a plan to explain; and smaller sizes, where a size is what a device refuses."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from contextlib import nullcontext

from ...targets.model import Target
from ..errors import UsageError, UserError
from ..inputs.generate_inputs import small_shapes
from ..load.bind_shapes import PLAIN, Shapes, real_inputs, shape_flags
from ..load.load_model import LoadedModel, load_model
from ..load.source import Source
from ..pipeline.run_passes import run_passes
from ..pipeline.table import PIPELINE
from ..pipeline.work import Work
from ..plan.plan_model import start
from ..verify.check_model import SIZES
from .change import Apply, Change

USUAL = (128, 320)
"""(length, side) of a sentence and of an image as phones get them; for smaller ones an accelerator would not pay."""
LIMIT = re.compile(r"<=? (\d+) is false \([^()]*(?:\([^()]*\)[^()]*)*= (\d+)\)")
"""A limit on an extent that does not hold, and the value that breaks it."""


def prepared(source: Source, target: Target, shapes: Shapes, effort: float) -> tuple[Work, dict[str, int | tuple[int, ...]]]:
    """The model recovered and simplified, all its dims bound; and the sizes that were assumed for dims without one.

    Raises UsageError where no assumed sizes suit the model, and what loading raises."""
    loaded = load_model(source, shapes)
    if not loaded.unbound:
        return _simplified(loaded, target, effort), {}
    problem = ""
    for length, side in (USUAL, *SIZES):
        made = _assumed(loaded, length, side)
        try:
            again = load_model(source, {**shapes, **made})
        except UserError as refused:
            problem = problem or refused.message
            continue
        if not again.unbound:
            return _simplified(again, target, effort), made
    dims = ", ".join(loaded.unbound)
    why = f" ({problem})" if problem else ""
    raise UsageError(f"dynamic dims without a size: {dims}{why}", where=str(source), help=f"bind them: {shape_flags(loaded.proto)}")


def _simplified(loaded: LoadedModel, target: Target, effort: float) -> Work:
    work = start(loaded, target, effort)
    names = [row.name for row in PIPELINE]
    run_passes(work, lambda name: nullcontext(), (), names[names.index("ask-devices") - 1])
    return work


def _assumed(loaded: LoadedModel, length: int, side: int) -> dict[str, int | tuple[int, ...]]:
    """By dim name where it has one that can be typed, else by input."""
    sizes = small_shapes(loaded.proto, length, side)
    made: dict[str, int | tuple[int, ...]] = {}
    for value in real_inputs(loaded.proto.graph):
        dims = list(value.type.tensor_type.shape.dim)
        open_ = [(dim.dim_param, size) for dim, size in zip(dims, sizes[value.name], strict=True) if not dim.HasField("dim_value")]
        if all(PLAIN.fullmatch(name) for name, _ in open_):
            made.update(open_)
        else:
            made[value.name] = sizes[value.name]
    return made


def flag(shapes: Shapes) -> str:
    """As it is typed: --shape batch=1,seq=32."""
    words = [f"{name}={size if isinstance(size, int) else 'x'.join(map(str, size))}" for name, size in shapes.items()]
    return f"--shape {shlex.quote(','.join(words))}" if words else ""


def smaller_shapes(reason: str, shapes: Shapes, source: Source, target: Target, effort: float) -> Iterator[Change]:
    """For a limit on an extent: each bound dim made as much smaller as the limit asks for."""
    found = LIMIT.search(reason)
    if found is None or "dim" not in reason:
        return
    limit, value = int(found[1]), int(found[2])
    for name, size in shapes.items():
        if isinstance(size, int) and size > 1 and limit < value:
            less = {**shapes, name: max(1, size * limit // value)}
            text, apply = flag({name: less[name]}), _reloading(source, target, less, effort)
            yield Change("shape", f"`{text}`", "", f"{name} is {size} now; a smaller model, so the times are not of the same work", apply)


def _reloading(source: Source, target: Target, shapes: Shapes, effort: float) -> Apply:
    def apply(work: Work, tensors: Sequence[str]) -> tuple[Work, tuple[str, ...]]:
        return _simplified(load_model(source, shapes), target, effort), tuple(tensors)

    return apply
