"""Ahead-of-time compilation: in a process of its own, kept by content.

A second Hexagon compilation in one process gives other bytes, and a compiler that crashes must not take this one along. Equal segment,
options and versions are compiled once per machine (`$XDG_CACHE_HOME/autoglmc/blobs`). An entry is used only as it was written; without
a cache everything works, only slower.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from ...activity import half_written, limits
from ...cache.entries import UNFINISHED, keep_below
from ...cache.folders import BLOBS, cache_folder
from ...cache.whole import keep_made, kept_made
from ...devices.adapter import Adapter
from ...errors import BundleError, UserError
from ...own_python import PYTHON
from ...parent import ending
from ...source_digest import source_digest
from ..weights import WeightsFile, externalised
from .crash import CompilerCrashed, crashed, last_line, too_slow

if TYPE_CHECKING:
    import onnx

CHILD = "autoglmc.compiler.bundle.blobs.build_blob"
DEVICES = Path(__file__).resolve().parents[2] / "devices"
LONGEST = 600.0
"""Seconds for one segment."""

QUIET = {"TQDM_DISABLE": "1"}
"""No progress bars in a compiler's output."""
FIXED = {"PYTHONHASHSEED": "0"}
"""Compilers written in Python take sets in the order of their hashes; equal input is to give equal bytes."""
REFUSED, FAULT = 65, 70
"""Exit codes of build_blob.py: the compiler does not take the segment; a process that it started crashed, as its last line says. Any other
but 0 was chosen by nobody: the compiler crashed."""
LAST_WORDS = 1500
"""Characters that a message repeats of why a compiler refuses."""


def _silent(message: str) -> None:
    pass


class SegmentRefused(BundleError):
    """The runtime's own compiler refuses a segment that the target's table allows."""

    kind = "segment"


def blob_key(model: onnx.ModelProto, adapter: Adapter, words: Sequence[str], initializers: Iterable[onnx.TensorProto] = ()) -> str:
    """Changes with the segment, the options, the versions of the runtime and our converters. `initializers`: weights beside the model."""
    about = repr((adapter.name, tuple(words), sorted(adapter.versions().items()), converters_digest()))
    return content_key(model, initializers, about)


@cache
def converters_digest(folder: Path = DEVICES) -> str:
    """sha256 (hex) of the sources that write a segment in another format, and call compilers."""
    return source_digest(folder, folder.rglob("*.py"))


def content_key(model: onnx.ModelProto, initializers: Iterable[onnx.TensorProto] = (), about: str = "") -> str:
    """Changes with anything in the model, its weights, and `about`."""
    weights = WeightsFile(cast("IO[bytes]", _Nowhere()))
    digest = hashlib.sha256(externalised(model, weights, initializers).SerializeToString(deterministic=True))
    digest.update(weights.sha256.encode())
    digest.update(about.encode())
    return digest.hexdigest()


def build(adapter: Adapter, words: Sequence[str], path: Path, key: str, place: Path, note: Callable[[str], object] = _silent) -> None:
    """Puts the compiled file (or folder) of the segment in `path` at `place`: from the cache, where that has it whole, or made now.

    Raises SegmentRefused with the compiler's output, CompilerCrashed where it gave no answer. `note` gets a message where the cache could
    not keep what was made."""
    kept = _kept(key)
    if isinstance(kept, Path) and kept_made(kept, place):
        return
    with tempfile.TemporaryDirectory(dir=place.parent, prefix=UNFINISHED) as work, half_written(work):
        # some compilers leave files beside what they make
        made = Path(work) / f"{key}{adapter.suffix}"
        run_compiler(CHILD, adapter.name, words, (path, made), made, path.name)
        os.replace(made, place)
    problem = keep_made(kept, place) if isinstance(kept, Path) else kept
    if problem:
        where = f" in {kept.parent}" if isinstance(kept, Path) else ""
        note(f"what was compiled ahead of time is not kept for the next run{where}: {problem}")
    elif isinstance(kept, Path):
        keep_below(kept.parent, BLOBS.limit)


def _kept(key: str) -> Path | str:
    """Where the cache has an entry, or why there is no cache."""
    try:
        return cache_folder(BLOBS.name) / key
    except UserError as problem:
        return problem.message


def run_compiler(module: str, name: str, words: Sequence[str], arguments: Sequence[str | Path], made: Path, what: str) -> None:
    """Runs `module NAME ARGUMENT… WORD…` in a process of its own, which is to make `made`. what: that is compiled, for messages.

    Raises SegmentRefused with the compiler's output, CompilerCrashed where it gave no answer."""
    command = [*PYTHON, "-m", module, name, *map(str, arguments), *words]
    longest, runtime = limits().seconds or LONGEST, " ".join((name, *words))
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=longest, env=QUIET | os.environ | FIXED)
    except subprocess.TimeoutExpired:
        raise too_slow(name, runtime, longest) from None
    said = done.stderr.strip() or done.stdout.strip()
    if done.returncode == REFUSED:
        raise SegmentRefused(f"{name} does not compile {what}: {said[-LAST_WORDS:] or 'no message'}", where=what)
    if done.returncode == FAULT:
        raise CompilerCrashed(f"the compiler of {name} crashed: {last_line(said)}", runtime=runtime, output=said)
    if done.returncode or not made.exists():
        raise crashed(name, runtime, ending(done.returncode) if done.returncode else "it wrote no file", said)


class _Nowhere:
    def write(self, data: bytes) -> int:
        return len(data)
