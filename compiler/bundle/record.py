"""What a record of the manifest is, and the values that its fields take."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

LARGEST = (1 << 63) - 1
"""What fits the sizes and addresses of every machine."""
Count = Annotated[int, Meta(ge=0, le=LARGEST)]
Positive = Annotated[int, Meta(ge=1, le=LARGEST)]
Seconds = Annotated[float, Meta(ge=0)]
Joules = Annotated[float, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0, le=1)]
Dims = Annotated[tuple[Count, ...], Meta(max_length=64)]
Sha256 = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
BundlePath = Annotated[str, Meta(pattern=r"^segments/[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+){0,4}$")]
"""A file of the bundle, from the bundle's folder, with `/`."""
RuntimeWord = Annotated[str, Meta(pattern="^[A-Za-z0-9_.+<>=-]{1,80}$")]
"""A word of a target's `runtime` line: an adapter, or an option of one."""
EntryName = Annotated[str, Meta(pattern="^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$")]
"""Of a way to run a bundle: "prefill", "decode"."""
OptimizerName = Annotated[str, Meta(pattern="^[A-Za-z0-9_]{1,80}$")]
SegmentPath = Annotated[str, Meta(pattern=r"^segments/[A-Za-z0-9_.-]+$")]
"""A file or folder that lies in `segments/` itself."""


class Record(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A JSON object that has exactly the fields of its class."""
