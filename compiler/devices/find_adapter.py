"""From the `runtime` words of a target to the adapter that serves it: one import per runtime, made when a target names it."""

from __future__ import annotations

from collections.abc import Sequence

from .adapter import Absent, Adapter

UNCOMPILED = "the bundle has no file compiled for it"
"""Why a segment cannot run although its runtime is here: nothing is compiled unless that is asked for."""
PLAN_ONLY = "none"
"""The runtime of a device that is planned for and never run."""


def adapter_for(runtime: str, words: Sequence[str] = ()) -> Adapter | None:
    """The adapter of a target's `runtime` line; None for a runtime this version has none for ("none" included)."""
    if runtime == "ort":
        from .ort import OrtAdapter

        return OrtAdapter()
    if runtime == "qnn":
        from .qnn import QnnAdapter

        return QnnAdapter(tuple(words))
    if runtime == "iree":
        from .iree import IreeAdapter

        return IreeAdapter(tuple(words))
    if runtime == "openvino":
        from .openvino import OpenVinoAdapter

        return OpenVinoAdapter(tuple(words))
    if runtime == "litert":
        from .litert.adapter import LiteRtAdapter

        return LiteRtAdapter()
    if runtime == "ethos_u":
        from .ethos_u.adapter import EthosUAdapter

        return EthosUAdapter(tuple(words))
    if runtime == "coreml":
        from .coreml import CoreMlAdapter

        return CoreMlAdapter(tuple(words))
    if runtime == "coreai":
        from .core_ai.adapter import CoreAiAdapter

        return CoreAiAdapter(tuple(words))
    return None


def absence(runtime: str, words: Sequence[str] = ()) -> Absent | None:
    """Why a segment of that runtime cannot run here; None where it can."""
    if runtime == PLAN_ONLY:
        return Absent("plan only (`runtime none`)")
    adapter = adapter_for(runtime, words)
    return Absent("this version has no adapter for it") if adapter is None else adapter.missing()
