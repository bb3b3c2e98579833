"""The file-type detector: real files of twenty kinds from this installation, told by magika."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from fetch_models import fetch

from .bound import bound
from .packages import CACHE, MAGIKA
from .task import Sample, Task

ENDINGS = {
    "python": ".py", "pythonbytecode": ".pyc", "elf": ".so", "gzip": ".gz", "perl": ".pm", "html": ".html", "javascript": ".js",
    "css": ".css", "json": ".json", "xml": ".xml", "svg": ".svg", "png": ".png", "markdown": ".md", "rst": ".rst", "yaml": ".yaml",
    "ttf": ".ttf", "cmake": ".cmake", "c": ".c", "shell": ".sh", "tcl": ".tcl", "gif": ".gif", "zip": ".whl", "jar": ".jar", "sql": ".sql",
}  # fmt: skip
"""magika's label by the ending that says so: the right answer does not come from magika. The first KINDS that have enough files count."""
KINDS = 20
A_KIND, CALIBRATED_A_KIND, LEAST_BYTES, LOOKED_AT = 40, 2, 200, 4000
PADDING, SHOWN, BLOCK = 256, 1024, 4096
"""config.min.json of the model: 1,024 bytes of the beginning and of the end, of blocks of 4,096 that are stripped of white space."""


def filetypes() -> Task:
    """magika's standard model v3.3. The files are kept as first found, so that later runs judge the same ones."""
    kept = CACHE / "filetypes" / "files.npz"
    if not kept.exists():
        _collect(kept)
    with np.load(kept) as held:
        coded, kinds = held["coded"], [str(k) for k in held["kinds"]]
    labels = json.loads(MAGIKA.members("standard_v3_3/config.min.json")["magika/models/standard_v3_3/config.min.json"])[
        "target_labels_space"
    ]
    samples = [Sample(({"bytes": row[None]},), labels.index(kind)) for row, kind in zip(coded, kinds, strict=True)]
    places = [kinds[:i].count(kind) for i, kind in enumerate(kinds)]
    calibration = tuple(s.steps[0] for s, place in zip(samples, places, strict=True) if place < CALIBRATED_A_KIND)
    empty = np.full((1, 2 * SHOWN), PADDING, np.int32)
    return Task(
        name="filetypes",
        metric="files told right",
        model=bound(fetch("magika_v3_3"), CACHE / "filetypes" / "fp32.onnx", {"bytes": (1, 2 * SHOWN)}),
        calibration=calibration,
        wrong_calibration=({"bytes": empty},) * len(calibration),
        held_out=tuple(s for s, place in zip(samples, places, strict=True) if place >= CALIBRATED_A_KIND),
        reduce=lambda feeds, outputs: outputs["target_label"][0].argmax().reshape(1),
        score=_told,
    )


def coded_bytes(content: bytes) -> np.ndarray:
    """2,048 integers as magika's own client makes them: beginning and end, each stripped and padded on the far side."""
    first, last = content[:BLOCK].lstrip()[:SHOWN], content[-BLOCK:].rstrip()[-SHOWN:]
    row = np.full(2 * SHOWN, PADDING, np.int32)
    row[: len(first)] = list(first)
    row[2 * SHOWN - len(last) :] = list(last)
    return row


def _told(known: Sequence[np.ndarray], kinds: Sequence[int], answers: Sequence[np.ndarray], truths: Sequence[int]) -> np.ndarray:
    return np.array([answer.item() == truth for answer, truth in zip(answers, truths, strict=True)], np.float64)


def _collect(output: Path) -> None:
    coded, kinds, count = [], [], A_KIND + CALIBRATED_A_KIND
    enough = {kind: contents for kind, contents in _found().items() if len(contents) >= count}
    if len(enough) < KINDS:
        raise SystemExit(
            f"this installation has {count} different files of {len(enough)} kinds only ({', '.join(enough)}); the task needs {KINDS}"
        )
    for kind, contents in list(enough.items())[:KINDS]:
        for digest in sorted(contents)[:count]:
            coded.append(contents[digest])
            kinds.append(kind)
    output.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(output, coded=np.stack(coded), kinds=np.array(kinds))


def _found() -> dict[str, dict[str, np.ndarray]]:
    """Of each kind the different files, by the digest of what magika sees of them."""
    contents: dict[str, dict[str, np.ndarray]] = {kind: {} for kind in ENDINGS}
    kinds = {ending: kind for kind, ending in ENDINGS.items()}
    for path in _walk():
        kind = kinds.get(path.suffix)
        if kind is None or len(contents[kind]) >= LOOKED_AT or path.is_symlink() or path.stat().st_size < LEAST_BYTES:
            continue
        row = coded_bytes(path.read_bytes())
        contents[kind].setdefault(hashlib.sha256(row.tobytes()).hexdigest(), row)
    return contents


def _walk() -> Iterator[Path]:
    for root in dict.fromkeys((sys.base_prefix, sys.prefix, "/usr")):
        for folder, below, names in os.walk(root):
            below.sort()
            yield from (Path(folder) / name for name in sorted(names))
