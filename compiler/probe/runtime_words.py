"""The runtime that a command line means, with its adapter, or why it cannot be asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...targets.model import Target
from ..devices.adapter import Adapter
from ..devices.find_adapter import adapter_for
from ..errors import UsageError, UserError

HEXAGON = {"30": "68", "36": "69", "43": "73", "57": "75", "60": "73", "69": "79", "87": "81"}
"""Architecture of the Hexagon in a SoC, by QNN's number of the SoC."""


class RuntimeAbsent(UserError):
    """The runtime is not installed, or has no device here."""

    kind = "runtime"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    adapter: Adapter
    words: tuple[str, ...]

    @property
    def spelled(self) -> str:
        return " ".join((self.adapter.name, *self.words))


def runtime_of(words: Sequence[str]) -> Asked:
    """The words of a `runtime` line: ("qnn", "htp", "soc", "57", "arch", "75"). Raises UsageError for a runtime there is no adapter for,
    RuntimeAbsent where it cannot run here."""
    name, *rest = words
    adapter = adapter_for(name, rest)
    if adapter is None:
        raise UsageError(f"this version cannot ask the runtime '{name}'", where="--runtime", help="qnn, iree and ort can be asked")
    missing = adapter.missing()
    if missing is not None:
        raise RuntimeAbsent(f"{name} cannot be asked: {missing.reason}", help=missing.help)
    return Asked(adapter=adapter, words=tuple(rest))


def spelled_out(runtime: str, soc: str | None, arch: str | None) -> list[str]:
    """`--runtime qnn --soc 57` and `--runtime "qnn htp soc 57 arch 75"` alike."""
    words = runtime.split()
    if not words:
        raise UsageError("no runtime is named", where="--runtime", help="such as --runtime 'iree vulkan'")
    if soc is None and arch is None:
        return words
    if soc is None or words not in (["qnn"], ["qnn", "htp"]):
        raise UsageError("--soc and --arch go with --runtime qnn", where="--soc")
    arch = arch or HEXAGON.get(soc)
    if arch is None:
        raise UsageError(f"the architecture of SoC {soc} is not known", where="--soc", help="say it with --arch")
    return ["qnn", "htp", "soc", soc, "arch", arch]


def device_words(target: Target, device: str) -> list[str]:
    """The `runtime` line of a target's device. Raises UsageError for a device that there is not."""
    for one in target.devices:
        if one.name == device:
            return [one.runtime.adapter, *one.runtime.words]
    raise UsageError(f"{target.name} has no device '{device}'", where="--device", help=", ".join(one.name for one in target.devices))
