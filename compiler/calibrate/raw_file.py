"""A measurement as a file, so that a fit can be repeated without measuring: JSON, with the digest of how work is counted."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, cast

import msgspec

from ...targets.operator_view import AttributeValue, OperatorView, TensorView
from ..errors import UsageError, first_line
from .fit_memory import MeasuredMemory
from .records import MeasuredKernel, MeasuredSegment, Measurement

VERSION = 1
MOST_BYTES = 1 << 30
COUNTED_BY = ("cost.py", "calibrated_cost.py", "work/extents.py", "work/operations.py", "work/window.py")
Seconds = Annotated[float, msgspec.Meta(ge=0, le=3600)]
HELP = "measure again with `autoglmc calibrate --measure --raw FILE`"


class _View(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    domain: str
    operator: str
    opset: int
    attributes: dict[str, int | float | str | list[int | float | str] | None]
    inputs: dict[str, TensorView]
    outputs: dict[str, TensorView]
    has_body: bool
    functions: frozenset[str]
    quantised: bool
    bodies: tuple[tuple[_View, ...], ...] = ()
    trips: int | None = 1


class _Kernel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    views: tuple[_View, ...]
    compute_dtype: str
    seconds: Seconds | None


class _Segment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    network: str
    case: str
    kernels: tuple[_Kernel, ...]
    weight_bytes: Annotated[int, msgspec.Meta(ge=0)]
    latency: Seconds | None
    floor: Annotated[float, msgspec.Meta(ge=0, le=1e6)]
    unjoined: dict[str, Seconds]
    single: bool


class _Raw(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    autoglmc_measurement: int
    """Version of the form."""
    counting: str
    device: str
    runtime: str
    environment: dict[str, str]
    segments: tuple[_Segment, ...]
    memory: tuple[MeasuredMemory, ...] = ()


def counting() -> str:
    """Digest of the code that counts operations, elements and bytes: rates of another one mean something else."""
    folder = Path(__file__).resolve().parents[2] / "targets"
    texts = (folder.joinpath(name).read_bytes() for name in COUNTED_BY)
    return hashlib.sha256(b"\0".join(texts)).hexdigest()[:16]


def raw_bytes(measurement: Measurement, memory: Sequence[MeasuredMemory] = ()) -> bytes:
    """The file's content. `memory`: of the bundles that were measured."""
    plain = {
        "autoglmc_measurement": VERSION,
        "counting": counting(),
        "device": measurement.device,
        "runtime": measurement.runtime,
        "environment": dict(measurement.environment),
        "segments": measurement.segments,
        "memory": list(memory),
    }
    return msgspec.json.encode(plain, enc_hook=_plain) + b"\n"


def read_raw(path: Path) -> Measurement:
    """What `raw_bytes` made, but for the memory. Raises UsageError for anything else."""
    raw = _read(path)
    segments = tuple(_segment(segment) for segment in raw.segments)
    return Measurement(device=raw.device, runtime=raw.runtime, environment=raw.environment, segments=segments)


def memory_in(path: Path) -> tuple[MeasuredMemory, ...]:
    """The memory that a file of `raw_bytes` has. Raises UsageError likewise."""
    return _read(path).memory


def _read(path: Path) -> _Raw:
    if not path.is_file():  # a FIFO or a device would never end
        raise UsageError(f"{path} is not a file", where="--raw", help=HELP)
    try:
        if path.stat().st_size > MOST_BYTES:
            raise UsageError(f"{path.name} is larger than 1 GiB, too large for a measurement", where=str(path), help=HELP)
        raw = msgspec.json.decode(path.read_bytes(), type=_Raw)
    except (OSError, ValueError, msgspec.MsgspecError, RecursionError) as problem:
        raise UsageError(f"not a measurement: {first_line(problem)}", where=str(path), help=HELP) from None
    if raw.autoglmc_measurement != VERSION:
        found = raw.autoglmc_measurement
        raise UsageError(f"this is version {found} of a measurement's form, version {VERSION} is read", where=str(path), help=HELP)
    return raw


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(type(value).__name__)


def _segment(raw: _Segment) -> MeasuredSegment:
    kernels = tuple(
        MeasuredKernel(name=k.name, views=tuple(map(_view, k.views)), compute_dtype=k.compute_dtype, seconds=k.seconds) for k in raw.kernels
    )
    return MeasuredSegment(
        network=raw.network, case=raw.case, kernels=kernels, weight_bytes=raw.weight_bytes, latency=raw.latency, floor=raw.floor,
        unjoined=raw.unjoined, single=raw.single,
    )  # fmt: skip


def _view(raw: _View) -> OperatorView:
    attributes: dict[str, AttributeValue] = {
        name: cast(AttributeValue, tuple(value)) if isinstance(value, list) else value
        for name, value in raw.attributes.items()
        if value is not None
    }
    return OperatorView(
        name=raw.name,
        domain=raw.domain,
        operator=raw.operator,
        opset=raw.opset,
        attributes=attributes,
        inputs=raw.inputs,
        outputs=raw.outputs,
        has_body=raw.has_body,
        functions=raw.functions,
        quantised=raw.quantised,
        bodies=tuple(tuple(map(_view, body)) for body in raw.bodies),
        trips=raw.trips,
    )
