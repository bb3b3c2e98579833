"""Ahead-of-time compilation: in a process of its own, kept by content.

A second Hexagon compilation in one process gives other bytes, and a compiler that crashes must not take this one along. Equal segment,
options and versions are compiled once per machine (`$XDG_CACHE_HOME/autoglmc/blobs`).
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from ..activity import half_written
from ..cache.entries import UNFINISHED, keep_below, mark_used
from ..cache.folders import BLOBS, cache_folder
from ..devices.adapter import Adapter
from ..errors import BundleError
from .weights import WeightsFile, externalised

if TYPE_CHECKING:
    import onnx

LONGEST = 600.0
"""Seconds for one segment."""

QUIET = {"TQDM_DISABLE": "1"}
"""No progress bars in a compiler's output."""
FIXED = {"PYTHONHASHSEED": "0"}
"""Compilers written in Python take sets in the order of their hashes; equal input is to give equal bytes."""


class SegmentRefused(BundleError):
    """The runtime's own compiler refuses a segment that the target's table allows."""

    kind = "segment"


def blob_key(model: onnx.ModelProto, adapter: Adapter, words: Sequence[str], initializers: Iterable[onnx.TensorProto] = ()) -> str:
    """Changes with anything the compiled file depends on. The weights are in the model, or given besides it."""
    about = repr((adapter.name, tuple(words), sorted(adapter.versions().items())))
    return content_key(model, initializers, about)


def content_key(model: onnx.ModelProto, initializers: Iterable[onnx.TensorProto] = (), about: str = "") -> str:
    """Changes with anything in the model, its weights, and `about`."""
    weights = WeightsFile(cast("IO[bytes]", _Nowhere()))
    digest = hashlib.sha256(externalised(model, weights, initializers).SerializeToString(deterministic=True))
    digest.update(weights.sha256.encode())
    digest.update(about.encode())
    return digest.hexdigest()


def build(adapter: Adapter, words: Sequence[str], path: Path, key: str) -> Path:
    """The compiled file (or folder) of the segment in `path`, from the cache or made now. Raises SegmentRefused with the compiler's
    output."""
    folder = cache_folder(BLOBS.name)
    blob = folder / f"{key}{adapter.suffix}"
    if blob.exists():
        mark_used(blob)
        return blob
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=UNFINISHED) as work, half_written(work):
        made = Path(work) / blob.name
        _run(adapter.name, words, path, made)
        try:
            os.replace(made, blob)
        except OSError:  # a folder cannot replace another: a parallel run was faster
            if not blob.exists():
                raise
    keep_below(folder, BLOBS.limit)
    return blob


def _run(name: str, words: Sequence[str], path: Path, made: Path) -> None:
    command = [sys.executable, "-m", "autoglmc.compiler.bundle.build_blob", name, str(path), str(made), *words]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=LONGEST, env=QUIET | os.environ | FIXED)
    except subprocess.TimeoutExpired:
        raise SegmentRefused(f"{name} did not compile {path.name} within {LONGEST:g} s", where=str(path)) from None
    if done.returncode or not made.exists():
        raise SegmentRefused(f"{name} does not compile {path.name}: {_last_words(done)}", where=str(path))


def _last_words(done: subprocess.CompletedProcess[str]) -> str:
    """The end of the compiler's output; one that was killed may have written nothing."""
    text = done.stderr.strip() or done.stdout.strip()
    if done.returncode < 0:
        text = f"killed by signal {-done.returncode}; {text}"
    return text[-1500:] or f"exit code {done.returncode}"


class _Nowhere:
    def write(self, data: bytes) -> int:
        return len(data)
