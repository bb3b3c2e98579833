"""A digest of our own sources, for keys of what is kept: what other code made is never taken over."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path


def source_digest(root: Path, paths: Iterable[Path]) -> str:
    """sha256 (hex) of files below `root`, by name and content, whatever order they are given in."""
    said = hashlib.sha256()
    for path in sorted(paths):
        data = path.read_bytes()
        said.update(f"{path.relative_to(root).as_posix()} {len(data)}\n".encode())
        said.update(data)
    return said.hexdigest()
