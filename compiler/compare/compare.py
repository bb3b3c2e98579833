"""Every model for every target, compiled one after the other; a pair that cannot be is a row too."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...targets.model import Target
from ..driver.compile_model import compile_model
from ..errors import UsageError, UserError
from ..load.bind_shapes import real_inputs
from .rows import Measured, Row, row_of

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Asked:
    """What is compared."""

    models: tuple[Path, ...]
    targets: tuple[Target, ...]
    shapes: Mapping[str, Any]
    """Of all models: each takes those whose names it has."""
    verify: bool
    emulate: bool
    measured: Mapping[tuple[str, str], Sequence[Measured]]


def compare(asked: Asked, tell: Tell) -> Iterator[Row]:
    """A row for each pair, models first. Raises UsageError for a size that no model has a use for, and UserError where a model cannot be
    read; what speaks against a pair is in its row."""
    sizes = sizes_of(asked.models, asked.shapes)
    pairs = [(model, target) for model in asked.models for target in asked.targets]
    for number, (model, target) in enumerate(pairs, 1):
        tell(f"{model.name} for {target.name} ({number} of {len(pairs)})")
        yield _row(asked, model, target, sizes[model])


def _row(asked: Asked, model: Path, target: Target, shapes: Mapping[str, Any]) -> Row:
    with tempfile.TemporaryDirectory(prefix="autoglmc-compare-") as folder:
        options: dict[str, Any] = {"shapes": shapes, "output": Path(folder) / "bundle", "verify": asked.verify, "emulate": asked.emulate}
        try:
            result = compile_model(model, target, **options)
        except UserError as problem:
            return Row(model=model.name, target=target.name, chip=target.title, problem=problem.message)
        measured = asked.measured.get((result.manifest.model.sha256, target.name), ())
        return row_of(model.name, target.title, result.as_json(), result.verified if asked.verify else None, measured)


def sizes_of(models: Sequence[Path], shapes: Mapping[str, Any]) -> dict[Path, dict[str, Any]]:
    """The sizes that each model has a use for. Raises UsageError for one that none has."""
    named = {model: names_in(model) for model in models}
    unused = [name for name in shapes if all(names is not None and name not in names for names in named.values())]
    if unused:
        raise UsageError(f"--shape {unused[0]}: no model has an input or a dim of that name", help="`autoglmc check MODEL` lists them")
    return {model: {name: size for name, size in shapes.items() if names is None or name in names} for model, names in named.items()}


def names_in(model: Path) -> frozenset[str] | None:
    """Inputs of a model, and their dims that have a name; None where the file cannot be read, which its compilation then says."""
    import onnx

    try:
        graph = onnx.load_model(str(model), load_external_data=False).graph
    except Exception:  # protobuf's DecodeError, OSError, ValueError: no business of a table
        return None
    dims = (dim.dim_param for value in real_inputs(graph) for dim in value.type.tensor_type.shape.dim if dim.dim_param)
    return frozenset((*(value.name for value in real_inputs(graph)), *dims))
