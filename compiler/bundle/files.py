"""Files of a bundle, by the names that its manifest gives them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from ..errors import BundleError


def files_of(folder: Path, blob: str | None) -> Sequence[str]:
    """What a segment's ahead-of-time file consists of, in the bundle: itself, or if it is a folder, the files in it."""
    if blob is None:
        return ()
    path = inside(folder, blob)
    if not path.is_dir():
        return (blob,)
    return sorted(found.relative_to(folder).as_posix() for found in path.rglob("*") if found.is_symlink() or not found.is_dir()) or (blob,)


def inside(folder: Path, name: str) -> Path:
    """`folder/name`, refused where it is absolute, climbs out, or passes a symbolic link."""
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\\" in name or ":" in parts[0]:
        raise BundleError(f"the manifest names {name!r}, which is not a path inside the bundle", where=str(folder))
    path = folder
    for part in parts:
        path = path / part
        if path.is_symlink():
            raise BundleError(f"{name} is, or goes through, a symbolic link", where=str(folder))
    return path


def sha256_of(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
