"""`autoglmc.verify`: a bundle against its model."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..inputs.samples import Given
from ..run.bundle import Bundle
from .arguments import arrays_of, given_of

if TYPE_CHECKING:
    from ..load.source import Model
    from ..verify.report import VerifyReport


def verify(
    model: Model | Sequence[Model],
    bundle: Bundle | str | os.PathLike[str],
    *,
    emulate: bool = False,
    inputs: Given | None = None,
    expect: Mapping[str, Any] | None = None,
    require_verified: str | None = None,
    trust: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] = (),
    progress: Callable[[str], None] | None = None,
    time_limit: float | None = None,
) -> VerifyReport:
    """`Bundle.verify` of a bundle, or of the folder that holds one, with a model or all of several; `trust` is that of
    `Bundle.load`, for a folder; emulate, inputs, expect, require_verified, progress and time_limit are those of `Bundle.verify`.

    Raises what `Bundle.load` and `Bundle.verify` raise; without `require_verified` a difference is not an exception but
    `report.verified` False.

    >>> report = autoglmc.verify("lightnet.onnx", "lightnet.tensor_g2", emulate=True)
    >>> report.verified
    True
    >>> report.outputs[0].name, report.outputs[0].cosine > 0.99999
    ('y', True)
    """
    loaded = bundle if isinstance(bundle, Bundle) else Bundle.load(bundle, trust=trust)
    return loaded.verify(
        model,
        emulate=emulate,
        inputs=given_of(inputs),
        expect=arrays_of(expect, "expect"),
        require_verified=require_verified,
        progress=progress,
        time_limit=time_limit,
    )
