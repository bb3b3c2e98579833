"""Load a bundle and run it.

>>> bundle = Bundle.load("model.a16")
>>> outputs = bundle.run({"x": x}, emulate=True)
>>> outputs.emulated        # segments that ran on the CPU because their device is not here
('0 (npu)', '2 (npu)')
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..activity import Limits, limited
from ..bundle.entries import entry_view, of_model
from ..bundle.manifest import SIGNATURE, TOOL, Manifest
from ..bundle.manifest_json import OtherFormat, manifest_bytes, manifest_in
from ..bundle.signature import check_signature, trusted_keys
from ..errors import BundleError, UsageError
from ..quantities import count
from .check.check_bundle import check_bundle
from .kept_session import KeptSessions
from .one_entry import one_entry

if TYPE_CHECKING:
    import networkx

    from ..bundle.graph import Level
    from ..inputs.samples import Given
    from ..load.source import Model
    from ..verify.report import VerifyReport
    from .outputs import Outputs
    from .session import Session


@dataclass(frozen=True, slots=True)
class Bundle:
    """A compiled model in a folder, checked when it was loaded; `compile` and `Bundle.load` make one."""

    folder: Path
    """Where it is; it may be moved and copied as a whole."""
    manifest: Manifest
    """Everything that was decided: segments, schedule, arena, handoffs, limits, errors."""
    digest: str
    """sha256 of manifest.json, which has the digests of all other files: equal for equal bundles."""
    trusted: str
    """The file of the key in `trust` that signed it; "" where it was loaded without one."""
    _kept: KeptSessions = field(default_factory=KeptSessions, init=False, repr=False, compare=False)

    def __repr__(self) -> str:
        """Short: a manifest is thousands of lines."""
        devices = ", ".join(dict.fromkeys(segment.device for segment in self.manifest.segments))
        what = f"{self.manifest.target.name}, {count(len(self.manifest.segments), 'segment')} on {devices}"
        return f"<Bundle {str(self.folder)!r}: {what}{'' if self.manifest.verification.verified else ', NOT verified'}>"

    @staticmethod
    def load(path: str | os.PathLike[str], *, trust: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] = ()) -> Bundle:
        """The bundle in the folder `path`, every file of it checked against its digest before anything reads it.

        trust: files of public keys (ed25519, PEM), or one; the bundle is refused unless one of them signed it. Without, digests protect
        against accidents only: a bundle is executable content (docs/trust.md).

        Raises BundleError that names the first field or file at fault, UsageError for a key that is none, TypeError for anything but a
        path.
        """
        folder = Path(path)
        keys = trusted_keys((trust,) if isinstance(trust, (str, os.PathLike)) else trust)
        try:
            data = manifest_bytes(folder)
            signer = str(check_signature(folder, data, keys).path) if keys else ""
            manifest = manifest_in(data, folder)
            check_bundle(folder, manifest)
        except OtherFormat:
            raise
        except BundleError as problem:
            problem.help = problem.help or "the bundle is damaged or incomplete: copy it again, or compile the model again"
            raise
        return Bundle(folder, manifest, hashlib.sha256(data).hexdigest(), signer)

    @property
    def metadata(self) -> Mapping[str, str]:
        """What the model says about itself: its metadata_props by key (class labels and the like), as far as the bundle took them."""
        return self.manifest.model.metadata

    @property
    def notes(self) -> tuple[str, ...]:
        """What whoever runs it should know: that another version of autoglmc wrote it."""
        from importlib.metadata import PackageNotFoundError, version

        try:
            here, written = version(TOOL), self.manifest.tool.version
        except PackageNotFoundError:
            return ()
        return () if written == here else (f"the bundle was written by {TOOL} {written}, this is {here}",)

    @property
    def signed(self) -> bool:
        """Whether it has a signature, checked or not."""
        return (self.folder / SIGNATURE).is_file()

    def session(
        self,
        *,
        emulate: bool = False,
        poison: bool = False,
        recompile: bool = False,
        resident: int | None = None,
        shared: bool = False,
        arena_fd: int | None = None,
    ) -> Session | Any:
        """The bundle loaded and bound to one arena, for many runs: `session.run(inputs)`, `session.run_many(requests)`. Of a bundle that
        keeps caches it is a `Decoder`: `session.step("prefill", inputs)`, `session.generate(ids)`; of one whose states every run replaces a
        `Recurrent`: `session.step("step", inputs)`; of one of several models a `Linked`: `session.step("vision", inputs, at=5)`.

        - emulate: run segments on the CPU whose device is not here; without it they are an error.
        - poison: fill the arena with NaN before every run, so that a tensor nobody wrote shows.
        - recompile: compile segments for this machine instead of loading what was compiled ahead of time.
        - resident: bytes of weights that the session may hold in copies of its own, by default what the bundle was compiled for.
        - shared: put the arena behind a file descriptor (`session.arena_fd`) that other processes may map.
        - arena_fd: use the arena of another process's session of this bundle.

        Raises UserError where a device is not here and `emulate` is false, BundleError where a runtime refuses its segment, UsageError
        for a bundle of several entries without caches (`bundle.entry(name)` is one of them), for `poison`, `shared` and `arena_fd` where
        there are states or links, and, before anything is loaded, for a `resident` that cannot be kept.

        >>> session = autoglmc.Bundle.load("lightnet.tensor_g2").session(emulate=True)
        >>> [session.run({"pixel_values": numpy.full((1, 3, 96, 96), value, numpy.float32)})["y"].dtype.name for value in (0, 1)]
        ['float32', 'float32']
        """
        options: dict[str, Any] = {"emulate": emulate, "recompile": recompile, "resident": resident}
        alone = {"poison": poison, "shared": shared, "arena_fd": arena_fd}
        if not self.manifest.entries or not (self.manifest.states or self.manifest.links):
            return one_entry(self.folder, self.manifest, **options, **alone)
        from .decoder.decoder import Decoder
        from .decoder.linked import Linked
        from .decoder.recurrent import Recurrent

        wrong = next((name for name, given in alone.items() if given not in (False, None)), None)
        if wrong is not None:
            what = f"{wrong} is for bundles without states and links"
            raise UsageError(what, where=str(self.folder), help="a decoder has poison() of its own")
        kind = Linked if self.manifest.links else Decoder if self.manifest.states[0].length else Recurrent
        return kind(self.folder, self.manifest, **options)

    def entry(self, name: str) -> Bundle:
        """The bundle as if it had that entry alone, for `session`, `run` and `graph`; "" for the bundle itself. Raises UsageError for a
        name that it does not have."""
        return replace(self, manifest=entry_view(self.manifest, name)) if name else self

    def model(self, name: str) -> Bundle:
        """The bundle as if it had that one of its models alone, for `session`, `entry` and `verify`. Raises UsageError for a name that it
        does not have."""
        return replace(self, manifest=of_model(self.manifest, name))

    def run(self, inputs: Mapping[str, Any], *, emulate: bool = False, time_limit: float | None = None) -> Outputs:
        """The graph's outputs by name, numpy arrays, for one set of inputs: arrays of the dtype and shape that the model declares.

        The bundle is loaded by the first call, and stays loaded as long as this object is there. Calls from several threads wait for each
        other; threads that are to compute at a time take a `session` each.

        `emulate` is that of `session`. `outputs.emulated` names the segments that ran on the CPU in place of their device. `time_limit` is
        that of `Session.run`: seconds, beyond which TimeLimit is raised. Raises UsageError for inputs the model does not have, or of
        another dtype or shape, and for a bundle of several entries.
        """
        return self._kept.run(emulate, partial(one_entry, self.folder, self.manifest, emulate=emulate), inputs, time_limit)

    def verify(
        self,
        model: Model | Sequence[Model],
        *,
        emulate: bool = False,
        inputs: Given | None = None,
        expect: Mapping[str, Any] | None = None,
        require_verified: str | None = None,
        progress: Callable[[str], None] | None = None,
        time_limit: float | None = None,
    ) -> VerifyReport:
        """The bundle compared with the model it was compiled from, both run on this machine on generated inputs.

        - model: a path or an onnx.ModelProto, the one given to `compile`; of several any one, whose entries are then compared, or a list
          of all: then they are also run one after the other, as links join them, and so are the files.
        - emulate: segments whose device is not here are judged on the CPU; without this the bundle is not verified then
          (`report.segments` says what was judged where).
        - inputs: arrays by input name, or (label, arrays) for each of several sets, compared first. progress: called with a line per stage.
        - expect: arrays by output name, what the model's source framework computes for `inputs`: the bundle is held against them too.
        - require_verified: raise VerifyError unless it is verified, "all": with every segment on its own runtime, even if `emulate`;
          "here": leaving out runtimes that are not here.

        - time_limit: seconds that one run of the model or of the bundle may take, or loading it; TimeLimit is raised beyond it.

        Without `require_verified` a difference is not an exception: see `report.verified` and `report.reasons`. Raises VerifyError where
        the bundle was compiled from another model, ModelError where the model does not run, UsageError for inputs that the model does
        not take.

        >>> model = onnx.load("lightnet.onnx")
        >>> report = autoglmc.Bundle.load("lightnet.tensor_g2").verify(model, emulate=True)
        >>> report.verified, report.inputs[:2]
        (True, ('seed 0', 'seed 1'))
        """
        from ..load.source import source_of
        from ..verify.required import check_met, requirement_of
        from .verify_entries import verify_entries

        required = requirement_of(require_verified)
        sources = [source_of(one) for one in (model if isinstance(model, (list, tuple)) else [model])]
        with limited(Limits(time_limit)):
            report = verify_entries(sources, self, emulate=emulate, inputs=inputs, expect=expect, progress=progress)
        check_met(report, required, str(self.folder))
        return report

    def graph(self, level: Level = "operators") -> networkx.DiGraph[str]:
        """The compiled model as a directed acyclic graph for analyses and plots, the edges being tensors.

        Level "operators": nodes are the model's inputs and outputs, operators, and handoffs between devices; level "segments": each
        segment is one node. Every node has `kind` ("input", "output", "operator", "segment", "handoff", "range") and `seconds`:

        - input, output: `tensor`, `dtype`, `shape` (None where it is known only at run time), `seconds` 0.0.
        - operator: `name`, `operator` (Conv, MatMul …), `domain`, `segment` (index), `device`, `dtype` (computed in), `kernel` (number
          of its launch in the segment, None if unknown), `seconds` None (`CompileResult.graph` knows them).
        - segment: `index`, `device`, `runtime`, `dtype`, `operators` and `kernels` (how many), `bytes` (largest sum of live tensors
          inside), `joules` (None where the target states no power), `seconds` predicted, dispatch included.
        - handoff: `tensor`, `producer` and `consumer` (devices), `mode` (zero_copy, copy, convert), `via`, `bytes` in the arena,
          padding included, `seconds` predicted.
        - range: an operator that no segment has, since its tensors lie inside of each other: `operator`, `device`, `bytes` 0, `seconds`
          0.0.

        Every edge has `tensors` (names) and `bytes` (of all of them, without padding; None where a shape is not known). The graph's
        own attributes are `target`, `level`, `seconds` (predicted for one run) and `segments`: the attributes of each segment, by index.

        Raises UsageError for another level, BundleError where a segment's file cannot be read.

        >>> graph = autoglmc.Bundle.load("lightnet.tensor_g2").graph("segments")
        >>> [graph.nodes[node]["device"] for node in graph if graph.nodes[node]["kind"] == "segment"]
        ['cpu', 'npu', 'cpu', 'npu', 'cpu', 'npu', 'cpu']
        >>> import networkx
        >>> longest = networkx.dag_longest_path(graph)
        >>> longest[:4]
        ['input pixel_values', 'segment 0', 'handoff 0', 'segment 1']
        """
        from ..bundle.graph import bundle_graph
        from ..bundle.segment_operators import segment_operators

        return bundle_graph(self.manifest, *segment_operators(self.folder, self.manifest), level)
