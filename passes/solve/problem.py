"""The placement problem as plain numbers: units, tensors between them, devices, limits. Knows no ONNX.

A plan gives every unit a device and one of the *options* that the unit has there (another implementation, another precision). Every
quantity that an objective or a limit asks about is a sum over units, segments and handoffs, so that limits are rows of the same model:

    time-like    sum of busy[d] * seconds computed on d  +  handoff * seconds of handoffs     (latency, energy, power, see `Weights`)
    error        sum of the options' errors
    memory       weights that are read from it  +  the activations that are there at once in any order of execution
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property


@dataclass(frozen=True, slots=True)
class Option:
    """One way to run a unit on a device."""

    seconds: float
    """Launches included."""
    error: float = 0.0
    """What it adds to the error that is allowed."""
    weight_bytes: int | None = None
    """None: the unit's."""
    form: int = 0
    """In which the unit leaves its tensors: 0 is the model's own, others are numbered by whoever states the problem."""
    takes: int | None = None
    """In which it reads them; None: as it leaves them."""

    @property
    def reads(self) -> int:
        """The form in which it reads tensors."""
        return self.form if self.takes is None else self.takes


@dataclass(frozen=True, slots=True)
class Unit:
    """Operators that are placed together. `seconds[d]` is their time on device d, launches included; None: it cannot run them."""

    name: str
    seconds: tuple[float | None, ...]
    weight_bytes: int = 0
    touched_bytes: int = 0
    """Activations that one of its operators reads and writes: in the memory of the unit's device while it runs."""
    passing_bytes: int = 0
    """Activations that lie somewhere while the unit runs, in whatever order the units are executed, beside those it touches."""
    options: tuple[tuple[Option, ...], ...] = ()
    """Per device, the first one being what `seconds` says; () where no device has more than one."""

    @property
    def devices(self) -> tuple[int, ...]:
        return tuple(d for d, seconds in enumerate(self.seconds) if seconds is not None)

    @property
    def fastest(self) -> float:
        return min(s for s in self.seconds if s is not None)

    def on(self, device: int) -> tuple[Option, ...]:
        """Its options on a device; () where that cannot run it."""
        seconds = self.seconds[device]
        if seconds is None:
            return ()
        return self.options[device] if self.options else (Option(seconds),)

    def stored(self, option: Option) -> int:
        """Bytes of weights."""
        return self.weight_bytes if option.weight_bytes is None else option.weight_bytes


@dataclass(frozen=True, slots=True)
class Net:
    """A tensor that may cross devices: it is handed over at most once to each device that needs it.

    `producer` is a unit, or -1 for a graph input (which the host holds); `to_host` marks a graph output.
    `seconds[a][b]` is the time from device a to b, 0 on the diagonal, None where no chain of links can carry it."""

    tensor: str
    producer: int
    consumers: tuple[int, ...]
    to_host: bool
    seconds: tuple[tuple[float | None, ...], ...]
    export: tuple[float, ...] = ()
    """Seconds per device that its producer's device pays once if any other needs the tensor, on top of `seconds`; () for none."""
    in_form: tuple[tuple[tuple[float | None, ...], ...], ...] = ()
    """`seconds` by the form in which the producer leaves the tensor, none below `seconds`; () where all forms take as long."""
    recode: tuple[tuple[tuple[float | None, ...], ...], ...] = ()
    """`recode[d][f][g]`: seconds that device d computes, once, where a unit of form g on it (the host for a graph output, in form 0) reads
    what was left in form f; 0 for f = g, None where d cannot. () where forms do not matter."""

    def time(self, here: int, there: int, form: int) -> float | None:
        """Seconds from one device to another in a form."""
        return (self.in_form[form] if self.in_form else self.seconds)[here][there]


@dataclass(frozen=True, slots=True)
class Room:
    """Memory as a hard limit: the weights of everything on `devices`, and what is live at once of the activations of everything on
    `homes`, must fit in `bytes`."""

    name: str
    devices: tuple[int, ...]
    bytes: int
    homes: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Weights:
    """A quantity that is linear in time: what a second that device d computes adds (its dispatches included), and a second of handoffs.

    Latency is 1 everywhere. Energy is watts: active[d] - idle[d] + the sum of all idle ones, and that sum for handoffs."""

    busy: tuple[float, ...]
    handoff: float


@dataclass(frozen=True, slots=True)
class Bound:
    """A limit on a quantity that is linear in time."""

    name: str
    weights: Weights
    most: float
    average: float = 0.0
    """For a limit on an average over the run, what the average may be; `weights` then are what a second adds beyond it."""


@dataclass(frozen=True)
class Problem:
    devices: tuple[str, ...]
    host: int
    dispatch: tuple[float, ...]
    units: tuple[Unit, ...]
    """In topological order."""
    nets: tuple[Net, ...]
    rooms: tuple[Room, ...] = ()
    most_pieces: tuple[int | None, ...] = ()
    """The most segments each device may have (`partitions npu <= 4`), None or missing for any number."""
    most_in_all: int | None = None
    """The most segments of all devices together."""
    bounds: tuple[Bound, ...] = ()
    most_error: float | None = None
    objective: Weights | None = None
    """What is minimised, no weight below zero; None: latency."""
    together: tuple[tuple[int, ...], ...] = ()
    """Sets of units that one device runs, not necessarily in one segment."""
    parallel: tuple[int, ...] = ()
    """Devices that run any number of units at once, each as soon as its inputs are there."""

    def piece_limit(self, device: int) -> int | None:
        return self.most_pieces[device] if device < len(self.most_pieces) else None

    @cached_property
    def aim(self) -> Weights:
        """What is minimised."""
        return self.objective or self.time

    @cached_property
    def time(self) -> Weights:
        return Weights((1.0,) * len(self.devices), 1.0)

    def without_limits(self) -> Problem:
        """The same units, handoffs and objective."""
        return replace(self, rooms=(), most_pieces=(), most_in_all=None, bounds=(), most_error=None)

    @cached_property
    def predecessors(self) -> list[list[int]]:
        found: list[list[int]] = [[] for _ in self.units]
        for net in self.nets:
            if net.producer >= 0:
                for consumer in net.consumers:
                    found[consumer].append(net.producer)
        return found


def read_as(problem: Problem, net: Net, assignment: Sequence[int], forms: Sequence[int]) -> list[tuple[int, int]]:
    """(device, form) in which the tensor is read, each once; `forms`: those that units read in."""
    found = {(assignment[c], forms[c]) for c in net.consumers}
    return sorted({*found, (problem.host, 0)} if net.to_host else found)


def wanted(problem: Problem, net: Net, assignment: Sequence[int]) -> list[int]:
    """Devices that need the tensor, the host for a graph output included, each once."""
    found = [assignment[c] for c in net.consumers]
    return sorted({*found, problem.host} if net.to_host else set(found))
