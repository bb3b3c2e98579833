"""Load a bundle and run it.

>>> bundle = Bundle.load("model.a16")
>>> outputs = bundle.run({"x": x}, emulate=True)
>>> outputs.emulated        # segments that ran on the CPU because their device is not here
('0 (npu)', '2 (npu)')
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..bundle.manifest import Manifest
from ..bundle.manifest_json import OtherFormat, read_manifest
from ..errors import BundleError
from ..quantities import count
from .check_bundle import check_external_data, check_files, check_plan

if TYPE_CHECKING:
    from .outputs import Outputs
    from .session import Session


@dataclass(frozen=True, slots=True)
class Bundle:
    """A compiled model on disk, checked when it was loaded."""

    folder: Path
    manifest: Manifest

    def __repr__(self) -> str:
        """Short: a manifest is thousands of lines."""
        devices = ", ".join(dict.fromkeys(segment.device for segment in self.manifest.segments))
        what = f"{self.manifest.target.name}, {count(len(self.manifest.segments), 'segment')} on {devices}"
        return f"<Bundle {str(self.folder)!r}: {what}>"

    @staticmethod
    def load(path: str | os.PathLike[str]) -> Bundle:
        """The bundle in the folder `path`. Raises BundleError naming the first field or file that does not fit."""
        folder = Path(path)
        try:
            manifest = read_manifest(folder)
            check_files(folder, manifest)
            check_external_data(folder, manifest)
            check_plan(manifest, str(folder))
        except OtherFormat:
            raise
        except BundleError as problem:
            problem.help = problem.help or "the bundle is damaged or incomplete: copy it again, or compile the model again"
            raise
        return Bundle(folder, manifest)

    def session(
        self,
        *,
        emulate: bool = False,
        poison: bool = False,
        recompile: bool = False,
        shared: bool = False,
        arena_fd: int | None = None,
    ) -> Session:
        """Segments loaded and bound to one arena, for many runs.

        emulate: run segments of devices that are not here on the CPU; without it they are an error (UserError).
        poison: fill the arena with NaN before every run, so that a tensor nobody wrote shows.
        recompile: compile segments for this machine instead of loading what was compiled ahead of time.
        shared: put the arena behind a file descriptor (`session.arena_fd`) that other processes may map.
        arena_fd: use the arena of another process's session of this bundle.
        """
        from .session import Session

        return Session(self.folder, self.manifest, emulate=emulate, poison=poison, recompile=recompile, shared=shared, arena_fd=arena_fd)

    def run(self, inputs: Mapping[str, Any], *, emulate: bool = False) -> Outputs:
        """Graph outputs by name for one set of inputs; `outputs.emulated` names the segments that ran on a stand-in.

        Raises UserError for inputs the model does not have, or of another dtype or shape.
        """
        return self.session(emulate=emulate).run(inputs)
