"""Answers on disk: one .npz file each, with what is no array as JSON inside. They may be deleted at any time; one that cannot be read is as
good as none."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

from ..cache.entries import keep_below
from ..cache.folders import REFERENCE, cache_folder
from ..cache.whole import keep_bytes, kept_bytes
from ..errors import UserError
from .messages import Answer, Opened

BETWEEN = 64
"""One in so many entries has a name after which the folder's size is looked at."""
LARGEST = 1 << 26
"""Bytes of an answer on disk; larger ones are computed again."""
FACTS = "facts"
PARTS = ("own", "optimised", "exact", "half", "floats")


class Store:
    """A folder of answers, named by what was asked."""

    def __init__(self, folder: Path, limit: int) -> None:
        """limit: bytes of the folder; beyond it the answers used longest ago go."""
        self._folder, self._limit = folder, limit

    def opened(self, key: str) -> Opened | None:
        """What was kept under that key; None for nothing."""
        data = kept_bytes(self._folder / f"{key}.json")
        with contextlib.suppress(ValueError, TypeError, KeyError):
            facts = json.loads(data or b"")
            return Opened(tuple(facts["outputs"]), tuple(facts["made"]), "", "")
        return None

    def keep_opened(self, key: str, opened: Opened) -> None:
        """Does nothing where the folder cannot be written."""
        self._write(f"{key}.json", json.dumps({"outputs": opened.outputs, "made": opened.made}).encode())

    def answer(self, key: str) -> Answer | None:
        """What was kept under that key; None for nothing."""
        import numpy as np

        data = kept_bytes(self._folder / f"{key}.npz")
        if data is None:
            return None
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError, EOFError, BadZipFile):
            with np.load(io.BytesIO(data), allow_pickle=False) as kept:
                return _decoded(json.loads(bytes(kept[FACTS])), {name: kept[name] for name in kept.files})
        return None

    def keep(self, key: str, answer: Answer) -> None:
        """Keeps an answer whose values are all arrays of numbers and not too large; does nothing where the folder cannot be written."""
        import numpy as np

        encoded = _encoded(answer)
        if encoded is not None:
            file = io.BytesIO()
            np.savez(file, **encoded)
            self._write(f"{key}.npz", file.getvalue())

    def _write(self, name: str, data: bytes) -> None:
        if keep_bytes(self._folder / name, data) and int(name[:4], 16) % BETWEEN == 0:
            keep_below(self._folder, self._limit)  # it looks at every entry


def default_store() -> Store | None:
    """The store in this user's cache folder; None where there is no place for one."""
    try:
        return Store(cache_folder(REFERENCE.name), REFERENCE.limit)
    except UserError:
        return None


def _encoded(answer: Answer) -> dict[str, Any] | None:
    """The arrays by a name each, and the rest as bytes of JSON; None where that cannot hold the answer."""
    import numpy as np

    arrays: dict[str, Any] = {}
    index: dict[str, list[str]] = {}
    for part, values in _parts(answer):
        index[part] = list(values)
        for k, value in enumerate(values.values()):
            if isinstance(value, (list, tuple)) or np.asarray(value).dtype.kind not in "fiub":
                return None
            arrays[f"{part}/{k}"] = np.asarray(value)
    if sum(array.nbytes for array in arrays.values()) > LARGEST:
        return None
    facts = {
        "index": index,
        "noise": len(answer.noise),
        "steps": len(answer.steps),
        "own_problem": answer.own_problem,
        "exact_problem": answer.exact_problem,
        "work": answer.work,
        "points": sorted(answer.points),
        "faults": dict(answer.faults),
        "unchecked": dict(answer.unchecked),
    }
    return {FACTS: np.frombuffer(json.dumps(facts).encode(), np.uint8), **arrays}


def _parts(answer: Answer) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for part in PARTS:
        values = getattr(answer, part)
        if values is not None:
            yield part, values
    yield from ((f"noise{k}", values) for k, values in enumerate(answer.noise))
    yield from ((f"steps{k}", values) for k, values in enumerate(answer.steps))


def _decoded(facts: Mapping[str, Any], arrays: Mapping[str, Any]) -> Answer:
    def part(name: str) -> Mapping[str, Any] | None:
        names = facts["index"].get(name)
        return None if names is None else {tensor: arrays[f"{name}/{k}"] for k, tensor in enumerate(names)}

    return Answer(
        own=part("own"),
        optimised=part("optimised"),
        exact=part("exact"),
        half=part("half"),
        floats=part("floats"),
        noise=tuple(part(f"noise{k}") or {} for k in range(facts["noise"])),
        steps=tuple(part(f"steps{k}") or {} for k in range(facts["steps"])),
        own_problem=facts["own_problem"],
        exact_problem=facts["exact_problem"],
        work=facts["work"],
        points=frozenset((path, side) for path, side in facts["points"]),
        faults=facts["faults"],
        unchecked=facts["unchecked"],
    )
