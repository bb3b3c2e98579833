"""`--stop-after`: the whole graph as ONNX as it stands after a pass; nothing is planned, measured or bundled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...targets.model import Target
from ..errors import UsageError
from ..load.load_model import LoadedModel
from ..load.source import Source
from ..output_file import check_file_place, write_file
from ..pipeline.run_passes import PassOptions, Stage, run_passes
from ..pipeline.whole_model import whole_model
from ..plan.plan_model import start


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """What was written, and how long each stage took."""

    path: Path
    after: str
    operators: int
    seconds: Mapping[str, float]

    def as_json(self) -> dict[str, Any]:
        return {"model": str(self.path), "after": self.after, "operators": self.operators, "seconds": dict(self.seconds)}


def check_model_place(output: Path, model: Source) -> None:
    """Raises UsageError where the graph cannot be written to `output`; to be asked before the work begins."""
    check_file_place(output, "the graph", (".onnx",))
    if isinstance(model, Path) and output.exists() and model.exists() and output.samefile(model):
        raise UsageError(f"{output} is the model itself", help="name another file with -o")


def write_after(
    name: str, load: Callable[[], LoadedModel], target: Target, output: Path, effort: float, stage: Stage, options: PassOptions
) -> int:
    """Runs the pipeline up to the pass `name` and writes the graph to the file `output`; how many operators it has.

    Segments that are already cut are joined again. Raises UsageError where the file cannot be written, and what the passes
    raise."""
    loaded = load()
    work = start(loaded, target, effort, without=options.without)
    run_passes(work, stage, options.watchers, name, options.inserted)
    model = whole_model(work)
    try:
        data = model.SerializeToString(deterministic=True)
    except ValueError as problem:  # protobuf's limit of 2 GiB
        raise UsageError(f"cannot write {output}: {problem}", help="print the graph instead: --print-after") from None
    write_file(output, data)
    return len(model.graph.node)
