"""Which code made a row: the release, and a digest of the sources, so that a changed cost model never takes over rows of another."""

from __future__ import annotations

import importlib.metadata
from functools import cache
from pathlib import Path

from ..source_digest import source_digest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("compiler", "grammar", "passes", "targets")
KINDS = frozenset({".py", ".hw", ".json", ".lark"})


@cache
def code_version() -> str:
    """ "0.13.0+1f3a99c04b7d"."""
    return f"{importlib.metadata.version('autoglmc')}+{code_digest(ROOT)[:12]}"


def code_digest(root: Path) -> str:
    """sha256 (hex) of all sources below the folders of the package, by name and content, but for stock targets: a row has the digest of
    its own. Reads some 4 MB."""
    found = (path for folder in FOLDERS for path in (root / folder).rglob("*") if path.suffix in KINDS)
    return source_digest(root, (path for path in found if not (path.suffix == ".hw" and path.parent == root / "targets")))
