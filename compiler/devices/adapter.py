"""What a runtime must offer to take part: say whether it is here, compile a segment ahead of time, load it, bind it to addresses, run it,
and prove where it wrote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class Port:
    """A segment's input or output; `address` is None for a value passed by name."""

    name: str
    dtype: str
    shape: tuple[int, ...] | None
    address: int | None


@dataclass(frozen=True, slots=True)
class Absent:
    """Why a runtime cannot run here, as half a sentence, and what to do about it."""

    reason: str
    help: str = ""


class CompilerFault(Exception):
    """A runtime's compiler, in a process of its own, crashed, did not finish, or answered in an unknown form: nothing is known of the
    segment, which it has not refused."""


FAULTS = (
    CompilerFault, ArithmeticError, AssertionError, AttributeError, ImportError, LookupError, MemoryError, NameError, OSError,
    RecursionError, SystemError, TypeError,
)  # fmt: skip
"""What no compiler says a refusal with: its own code, or our converter, failed."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What an address and its allocated length must be multiples of, in bytes, for a runtime to bind them without a copy."""

    align: int = 1
    length_multiple: int = 1


class LoadedSegment(Protocol):
    """A segment ready to run. Addresses are bound once; every run reads and writes there."""

    copies: bool
    """True where the runtime cannot be given addresses for this segment, so that its tensors are copied in and out."""
    device: str
    """What really computes, as the runtime names it."""

    def run(self, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """One run; `values` are the inputs without an address, what comes back are the outputs without one."""
        ...

    def misplaced(self) -> Sequence[str]:
        """After a run: outputs that the runtime reports at another address than theirs; empty where it reports none (see marks.py)."""
        ...


@runtime_checkable
class Rebindable(Protocol):
    """A loaded segment that can be bound to further addresses without its weights being resident again."""

    def again(self, inputs: Sequence[Port], outputs: Sequence[Port]) -> LoadedSegment:
        """The same segment at other addresses; both stay usable, not at the same time."""
        ...


@runtime_checkable
class Haltable(Protocol):
    """A loaded segment whose run can be ended from another thread."""

    def halt(self, stop: bool) -> None:
        """True: a run under way raises soon, and so does every further one until a call with False."""
        ...


@runtime_checkable
class Remarking(Protocol):
    """A loaded segment about which the user should know something."""

    remarks: Sequence[str]
    """Whole sentences, each told once."""


@runtime_checkable
class StandIn(Protocol):
    """A loaded segment that other kernels compute than those of the device it was compiled for."""

    not_run: str
    """Which device was not run: "Ethos-U55"."""


@runtime_checkable
class Substituting(Protocol):
    """An adapter whose device is never here: something else computes its segments."""

    in_place: str
    """What does: "LiteRT's integer kernels"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompilerReport:
    """What a runtime's own compiler estimates of a segment."""

    seconds: float
    """Of one run, without what starts it."""
    peak_bytes: int
    """Of the memory that holds activations, the segment's inputs and outputs included."""
    operators: tuple[tuple[str, float], ...] = ()
    """(a tensor that it writes, its seconds), of each operator in the order in which they run; the compiler may have joined several."""


@runtime_checkable
class Reporting(Protocol):
    """An adapter whose compiler says what a segment takes."""

    def report(self, blob: Path) -> CompilerReport:
        """Of a segment that `compile` compiled. Raises BundleError where the file has no estimates."""
        ...


@runtime_checkable
class Joining(Protocol):
    """An adapter whose compiled files may hold several segments: what they have in common of weights is there once."""

    def join(self, models: Mapping[str, Path], blob: Path) -> None:
        """Compiles segments, by the name that each has in the file, which is that of the segment's own file. Raises as `compile`."""
        ...


@runtime_checkable
class Budgeted(Protocol):
    """An adapter whose compiler can be told how much memory it may plan activations in."""

    def within(self, size: int) -> tuple[str, ...]:
        """The words of the target's `runtime` line with that many bytes, inputs and outputs included. More may be taken all the same."""
        ...


class Adapter(Protocol):
    """One runtime with the options of a target's `runtime` line."""

    name: str
    needs: Needs
    suffix: str
    """Of the files (or folders) it compiles ahead of time, ".vmfb"; "" where it loads the segment itself."""
    narrow: str
    """The dtype it computes fp32 segments in where that is narrower ("fp16"); "" where it keeps the segment's own."""

    def missing(self) -> Absent | None:
        """None where it can run here."""
        ...

    def cannot_compile(self) -> Absent | None:
        """None where segments can be compiled ahead of time here, whether or not they can also run here."""
        ...

    def versions(self) -> Mapping[str, str]:
        """What a compiled file depends on: versions, SoC, architecture."""
        ...

    def compile(self, model: Path, blob: Path) -> None:
        """Compiles a segment ahead of time, in a process of its own (bundle/blobs/build_blob.py). Raises whatever the runtime raises where
        it refuses the segment, and CompilerFault where a further process that compiles it crashes."""
        ...

    def load(self, path: Path, blob: Path | None, inputs: Sequence[Port], outputs: Sequence[Port]) -> LoadedSegment:
        """`path` is the segment, `blob` what `compile` made of it, None where the adapter has no `suffix`.

        Raises BundleError where the runtime refuses the segment or its ports are not those of the file."""
        ...
