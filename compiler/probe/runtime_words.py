"""The runtime that a command line means, with its adapter, or why it cannot be probed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...targets.model import Target
from ..devices.adapter import Absent, Adapter
from ..devices.find_adapter import adapter_for
from ..errors import UsageError, UserError

HEXAGON = {"30": "68", "36": "69", "43": "73", "57": "75", "60": "73", "69": "79", "87": "81"}
"""Architecture of the Hexagon in a SoC, by QNN's number of the SoC."""


class RuntimeAbsent(UserError):
    """A runtime that is to be probed is not installed, or has no device here."""

    kind = "runtime"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbedRuntime:
    """A runtime that can be probed here."""

    adapter: Adapter
    words: tuple[str, ...]

    @property
    def spelled(self) -> str:
        """As in a `runtime` line: "qnn htp soc 57 arch 75"."""
        return " ".join((self.adapter.name, *self.words))


def find_runtime(words: Sequence[str]) -> ProbedRuntime | Absent | None:
    """Of the words of a `runtime` line, ("qnn", "htp", "soc", "57", "arch", "75"); why it cannot run here; None for a runtime this
    version has no adapter for."""
    name, *rest = words
    adapter = adapter_for(name, rest)
    if adapter is None:
        return None
    return adapter.missing() or ProbedRuntime(adapter=adapter, words=tuple(rest))


def require_runtime(words: Sequence[str]) -> ProbedRuntime:
    """`find_runtime`. Raises UsageError for a runtime there is no adapter for, RuntimeAbsent where it cannot run here."""
    found = find_runtime(words)
    if found is None:
        raise UsageError(f"autoglmc has no adapter for the runtime '{words[0]}'", where="--runtime", help="qnn, iree and ort can be probed")
    if isinstance(found, Absent):
        raise RuntimeAbsent(f"cannot probe {words[0]}: {found.reason}", help=found.help)
    return found


def spelled_out(runtime: str, soc: str | None, arch: str | None) -> list[str]:
    """`--runtime qnn --soc 57` and `--runtime "qnn htp soc 57 arch 75"` alike."""
    words = runtime.split()
    if not words:
        raise UsageError("--runtime names no runtime", where="--runtime", help="for example --runtime 'iree vulkan'")
    if soc is None and arch is None:
        return words
    if soc is None or words not in (["qnn"], ["qnn", "htp"]):
        raise UsageError("--soc and --arch need --runtime qnn", where="--soc")
    arch = arch or HEXAGON.get(soc)
    if arch is None:
        raise UsageError(f"the Hexagon architecture of SoC {soc} is not known", where="--soc", help="give it with --arch")
    return ["qnn", "htp", "soc", soc, "arch", arch]


def device_words(target: Target, device: str) -> list[str]:
    """The `runtime` line of a target's device. Raises UsageError for a device that the target does not have."""
    for one in target.devices:
        if one.name == device:
            return [one.runtime.adapter, *one.runtime.words]
    raise UsageError(f"{target.name} has no device '{device}'", where="--device", help=", ".join(one.name for one in target.devices))
