"""Segments as a .aimodel folder whose bytes depend on nothing but the segments."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .program import Function, write_program

EPOCH = 0.0
"""The creation date of every asset: coreai-core notes the time, and two runs would give two files."""


def write_asset(functions: Sequence[Function], folder: Path, metadata: Mapping[str, str]) -> None:
    """`folder` ends in .aimodel. Raises onnx_node.Refused naming the operator and node that is not converted."""
    write_program(functions, lambda program: program.save_asset(folder))
    set_metadata(folder, metadata)


def set_metadata(folder: Path, metadata: Mapping[str, str]) -> None:
    """Adds entries, or replaces those of the same names."""
    from coreai.authoring import AIModelAsset

    def change(about: Any) -> None:
        about.creation_date = EPOCH
        for name, text in metadata.items():
            about.set_custom(name, text)

    AIModelAsset.load(folder).update_metadata(updates=change)
    _in_order(folder / "metadata.json")


def _in_order(path: Path) -> None:
    """coreai-core writes the entries in the order of Swift's hashes, which are other ones in each process."""
    entries = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(entries, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8", newline="\n")
