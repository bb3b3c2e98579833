"""`--print-after`: the graph as ONNX text after chosen passes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UsageError
from ..output_file import check_file_place, write_file
from ..pipeline.run_passes import check_pass
from ..pipeline.table import Pass
from ..pipeline.whole_model import whole_model
from ..pipeline.work import Work

if TYPE_CHECKING:
    import onnx

FEW = 16
"""Elements up to which a constant is written out; a larger one appears as a reference to a file, so that the text still parses."""
ELSEWHERE = "not printed"
BEGINNING = "// after "


class GraphPrinter:
    """Gives the text of the whole graph after some passes to `show` or writes it to a file."""

    stage = ""

    def __init__(self, places: Mapping[str, Path | None], show: Callable[[str], None]) -> None:
        """places: by pass, the file, or None for `show`."""
        self._places, self._show = places, show

    def begin(self, work: Work) -> None:
        """Nothing: printing starts after a pass."""

    def after(self, row: Pass, work: Work) -> None:
        if row.name not in self._places:
            return
        text = f"{BEGINNING}{row.name}\n{graph_text(whole_model(work))}"
        place = self._places[row.name]
        if place is None:
            self._show(text)
            return
        write_file(place, text + "\n")


def parse_places(words: tuple[str, ...]) -> dict[str, Path | None]:
    """`recover`, `simplify:file.txt` -> where to print after which pass. Raises UsageError for an unknown pass or no file name."""
    places: dict[str, Path | None] = {}
    for word in words:
        name, colon, file = word.partition(":")
        if colon and not file:
            raise UsageError(f"--print-after {word}: no file name after the colon", help=f"--print-after {name}:graph.txt")
        places[check_pass(name)] = _place(Path(file)) if file else None
    return places


def _place(path: Path) -> Path:
    """Raises UsageError where the graph cannot be written, or the file that is there is no such graph."""
    check_file_place(path, "the graph", (), "--print-after PASS:FILE")
    if path.exists() and not path.read_bytes().startswith(BEGINNING.encode()):
        raise UsageError(f"refusing to overwrite {path}: it was not written by --print-after", help="name another file")
    return path


def graph_text(model: onnx.ModelProto) -> str:
    """ONNX text form (onnx.parser syntax), values of large constants left out. Takes over `model`."""
    import onnx

    for tensor in model.graph.initializer:
        if math.prod(tensor.dims) > FEW:
            kept = (tensor.name, tensor.data_type, list(tensor.dims))
            tensor.Clear()
            tensor.name, tensor.data_type = kept[:2]
            tensor.dims.extend(kept[2])
            tensor.data_location = onnx.TensorProto.EXTERNAL
            tensor.external_data.add(key="location", value=ELSEWHERE)
    return "\n".join(_folded(line) for line in onnx.printer.to_text(model).splitlines())


def _folded(line: str) -> str:
    """Constants and types, which the printer puts on one line, one below the other."""
    return line.replace(", ", ",\n    ") if line.startswith("   <") else line
