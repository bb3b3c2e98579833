"""Several segments compiled into one file, for adapters that join them (`Joining`): in a process of its own, as each alone.

    python -m autoglmc.compiler.bundle.blobs.join_blob ADAPTER BLOB COUNT MODEL… [WORD…]

Each segment is named in the file as its own file is. A compiler that crashes on several may take each of them: it is asked again about
fewer, until it is known which one it is.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ...activity import half_written
from ...cache.entries import UNFINISHED
from ...devices.adapter import Adapter, Joining
from ...devices.find_adapter import adapter_for
from ...parent import end_with_parent
from .blob_cache import SegmentRefused, run_compiler
from .build_blob import outcome
from .crash import CompilerCrashed

if TYPE_CHECKING:
    import onnx

CHILD = "autoglmc.compiler.bundle.blobs.join_blob"


def join_blobs(adapter: Adapter, words: Sequence[str], models: Mapping[str, Path], place: Path) -> None:
    """Puts the file (or folder) of all segments at `place`; `models`: the segments' files by the names that they have in it.

    Raises SegmentRefused with the compiler's output, CompilerCrashed about the segments on which it crashes where it gave no answer."""
    names, paths = list(models), list(models.values())
    try:
        _joined(adapter, words, paths, place)
    except CompilerCrashed as crash:
        chosen = list(range(len(paths)))
        if crash.ending == "crashed":
            chosen = fewest(len(paths), lambda some: _crashes(adapter, words, [paths[k] for k in some]))
        loaded = _loaded({names[k]: paths[k] for k in chosen})  # now: the files go with the bundle that is not written
        before = ", ".join(names[k] for k in chosen[:-1])
        where = f"the function {names[chosen[-1]]} of {place.name}{f', with {before} before it' if before else ''}"
        raise crash.together(where, lambda: loaded) from None


def fewest(count: int, crashes: Callable[[Sequence[int]], bool]) -> list[int]:
    """Of so many segments, which crash together: the last one that it takes for that, alone where that suffices, else behind all before it.
    By bisection; `crashes` is asked at most log2(count) + 1 times, rounded up."""
    few, many = 0, count
    while many - few > 1:
        middle = (few + many) // 2
        few, many = (few, middle) if crashes(range(middle)) else (middle, many)
    return [many - 1] if many == 1 or crashes([many - 1]) else list(range(many))


def _joined(adapter: Adapter, words: Sequence[str], paths: Sequence[Path], place: Path) -> None:
    with tempfile.TemporaryDirectory(dir=place.parent, prefix=UNFINISHED) as work, half_written(work):
        made = Path(work) / f"joined{adapter.suffix}"
        run_compiler(CHILD, adapter.name, words, (made, str(len(paths)), *paths), made, f"{len(paths)} segments as one file")
        os.replace(made, place)


def _crashes(adapter: Adapter, words: Sequence[str], paths: Sequence[Path]) -> bool:
    with tempfile.TemporaryDirectory(prefix="autoglmc-") as folder:
        try:
            _joined(adapter, words, paths, Path(folder) / f"tried{adapter.suffix}")
        except CompilerCrashed:
            return True
        except (SegmentRefused, OSError):
            return False
    return False


def _loaded(models: Mapping[str, Path]) -> dict[str, onnx.ModelProto]:
    import onnx

    return {f"{name}.onnx": onnx.load_model(path) for name, path in models.items()}


def main(arguments: list[str]) -> int:
    """See `outcome`."""
    end_with_parent()
    name, blob, count, *rest = arguments
    paths, words = [Path(path) for path in rest[: int(count)]], rest[int(count) :]
    adapter = adapter_for(name, words)
    assert isinstance(adapter, Joining), name
    return outcome(lambda: adapter.join({path.stem: path for path in paths}, Path(blob)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
