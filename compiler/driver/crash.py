"""What is said of a compiler that crashed: on which operators it does, how to compile without them, and where the segment was saved."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..bundle.blobs import build_blob, join_blob
from ..bundle.blobs.crash import SEGMENT, CompilerCrashed
from ..bundle.publish import publish
from ..devices.find_adapter import adapter_for
from ..errors import UserError
from ..probe.culprits import Culprit, find_crashing
from .search_budget import Meter

if TYPE_CHECKING:
    import numpy
    import onnx

    Array = numpy.ndarray[Any, Any]

OUTPUT, README = "output.txt", "README.md"


@contextmanager
def crash_saved(folder: Path) -> Iterator[None]:
    """Where a runtime's compiler crashes inside, the segments are saved in `folder`, and the error says so."""
    try:
        yield
    except CompilerCrashed as crash:
        if segments := crash.segments:
            with suppress(UserError, OSError, ValueError):  # a full disk, a folder of the user's, more than 2 GiB
                _save(folder, segments, crash)
                crash.repro, what = str(folder), "the segments are" if len(segments) > 1 else "the segment is"
                crash.help = "; ".join(filter(None, (crash.help, f"{what} in {folder}, to be reported to the compiler's makers")))
        raise


def explained(crash: CompilerCrashed, meter: Meter, tell: Callable[[str], None]) -> CompilerCrashed:
    """The error with the operators on which the compiler crashes, found by asking it again, and how to compile without them."""
    segment = crash.segment if crash.ending == "crashed" else None
    if segment is None:
        return crash
    name, *words = crash.runtime.split()
    adapter = adapter_for(name, words)
    assert adapter is not None, "it was asked"
    try:
        found = find_crashing(segment, _shapes(segment), adapter, words, tell, meter.may_probe)
    except KeyError:  # a tensor whose shape is not stated: the segment cannot be taken apart
        found = ()
    crash.help = _without(found)
    crash.deny = tuple(one.line for one in found)
    return crash


def _shapes(model: onnx.ModelProto) -> dict[str, Array]:
    """Of every tensor whose shape the segment states; they take no memory."""
    import numpy
    import onnx

    found = {}
    for value in (*model.graph.input, *model.graph.value_info, *model.graph.output):
        kind = value.type.tensor_type
        if kind.elem_type and kind.HasField("shape") and all(dim.HasField("dim_value") for dim in kind.shape.dim):
            shape = tuple(dim.dim_value for dim in kind.shape.dim)
            found[value.name] = numpy.broadcast_to(numpy.zeros((), onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type)), shape)
    return found


def _without(found: tuple[Culprit, ...]) -> str:
    """What to add to the target to compile without the operators at fault."""
    if not found:
        return ""
    first, more = found[0], f", and on {len(found) - 1} more (README.md lists them)" if len(found) > 1 else ""
    return f"it crashes on {first.operator} ({first.node}){more}; to compile without, add to the device: {first.line}"


def _save(folder: Path, segments: Mapping[str, onnx.ModelProto], crash: CompilerCrashed) -> None:
    """Raises BundleError where nothing can be written, ValueError for a segment that is too large for one file."""
    with publish(folder, _is_ours) as place:
        for name, segment in segments.items():
            (place / name).write_bytes(segment.SerializeToString(deterministic=True))
        (place / OUTPUT).write_text(crash.output, encoding="utf-8")
        (place / README).write_text(_readme(folder, tuple(segments), crash), encoding="utf-8")


def _is_ours(folder: Path) -> bool:
    return all((folder / name).is_file() for name in (OUTPUT, README)) and any(folder.glob("*.onnx"))


def _readme(folder: Path, names: tuple[str, ...], crash: CompilerCrashed) -> str:
    name, *words = crash.runtime.split()
    paths, made = [str(folder / each) for each in names], str(folder / "made")
    files = (*paths, made) if names == (SEGMENT,) else (made, str(len(names)), *paths)
    command = ("python", "-m", build_blob.__name__ if names == (SEGMENT,) else join_blob.__name__, name, *files, *words)
    lines = (
        f"# {crash.message}",
        "",
        f"- {', '.join(names)}: {crash.where}",
        f"- {OUTPUT}: what the compiler wrote",
        *(f"- to compile without: `{line}` in the device of the target" for line in crash.deny),
        f"- see it: `{shlex.join(command)}`",
        "",
    )
    return "\n".join(lines)
