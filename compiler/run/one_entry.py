"""The session of a bundle, or of one entry of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..bundle.manifest import Manifest
from ..bundle.resident import check_resident
from ..errors import UsageError

if TYPE_CHECKING:
    from .session import Session


def one_entry(folder: Path, manifest: Manifest, *, resident: int | None = None, **options: Any) -> Session:
    """`options` are those of Session, which this raises the errors of; and UsageError where the bundle has several entries, and for
    `resident` as check_resident does."""
    from .session import Session

    if manifest.entries:
        names = [entry.name for entry in manifest.entries]
        kept = "; session() steps through them" if manifest.states else ""
        help = f"bundle.entry({names[0]!r}), or --entry {names[0]}{kept}"
        raise UsageError(f"the bundle has the entries {', '.join(names)}: which one?", where=str(folder), help=help)
    check_resident(folder, manifest, resident)
    return Session(folder, manifest, **options)
