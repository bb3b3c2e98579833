"""autoglmc compiles an ONNX model for the devices of one machine.

>>> import autoglmc
>>> bundle = autoglmc.compile("lightnet.onnx", "a16", shapes={"batch": 1}, emulate=True)
>>> bundle
<Bundle 'lightnet.a16': a16, 1 segment on npu>
>>> outputs = bundle.run({"pixel_values": numpy.zeros((1, 3, 96, 96), numpy.float32)}, emulate=True)
>>> outputs.emulated
('0 (npu)',)

Everything is imported on first use, so that `import autoglmc` costs nothing. Imports here are absolute: pytest runs this
file a second time under another name.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autoglmc.compiler.activity import TimeLimit
    from autoglmc.compiler.api.check import CheckReport, check
    from autoglmc.compiler.api.compile import compile
    from autoglmc.compiler.api.verify import verify
    from autoglmc.compiler.api.why import why
    from autoglmc.compiler.api.why_report import WhyChange, WhyDevice, WhyGroup, WhyNode, WhyReport, WhyWay
    from autoglmc.compiler.bundle.verification_record import SegmentVerdict, StageVerdict
    from autoglmc.compiler.driver.compile_model import compile_model
    from autoglmc.compiler.driver.result import CompileResult
    from autoglmc.compiler.driver.search_budget import SearchBudget
    from autoglmc.compiler.errors import (
        BundleError,
        Infeasible,
        ModelError,
        PassError,
        SearchEnded,
        TargetError,
        UsageError,
        UserError,
        UserPassError,
        VerifyError,
    )
    from autoglmc.compiler.hw.load_target import load_target
    from autoglmc.compiler.run.bundle import Bundle
    from autoglmc.compiler.run.decoder.decoder import Decoder
    from autoglmc.compiler.run.decoder.linked import Linked
    from autoglmc.compiler.run.decoder.recurrent import Recurrent
    from autoglmc.compiler.run.outputs import Outputs
    from autoglmc.compiler.run.session import Session
    from autoglmc.compiler.surgery.rewrite import rewrite
    from autoglmc.compiler.surgery.user_pass import UserPass
    from autoglmc.compiler.verify.check_model import CheckResult
    from autoglmc.compiler.verify.compare import TensorDifference
    from autoglmc.compiler.verify.report import VerifyReport
    from autoglmc.grammar.text.diagnostics import HwError
    from autoglmc.targets.model import Target

    __version__: str

__all__ = [
    "Bundle",
    "BundleError",
    "CheckReport",
    "CheckResult",
    "CompileResult",
    "Decoder",
    "HwError",
    "Infeasible",
    "Linked",
    "ModelError",
    "Outputs",
    "PassError",
    "Recurrent",
    "SearchBudget",
    "SearchEnded",
    "SegmentVerdict",
    "Session",
    "StageVerdict",
    "Target",
    "TargetError",
    "TensorDifference",
    "TimeLimit",
    "UsageError",
    "UserError",
    "UserPass",
    "UserPassError",
    "VerifyError",
    "VerifyReport",
    "WhyChange",
    "WhyDevice",
    "WhyGroup",
    "WhyNode",
    "WhyReport",
    "WhyWay",
    "__version__",
    "check",
    "compile",
    "compile_model",
    "load_target",
    "rewrite",
    "verify",
    "why",
]  # fmt: skip

_MODULES = {
    "autoglmc.compiler.activity": ("TimeLimit",),
    "autoglmc.compiler.api.check": ("CheckReport", "check"),
    "autoglmc.compiler.api.compile": ("compile",),
    "autoglmc.compiler.api.verify": ("verify",),
    "autoglmc.compiler.api.why": ("why",),
    "autoglmc.compiler.api.why_report": ("WhyChange", "WhyDevice", "WhyGroup", "WhyNode", "WhyReport", "WhyWay"),
    "autoglmc.compiler.bundle.verification_record": ("SegmentVerdict", "StageVerdict"),
    "autoglmc.compiler.driver.compile_model": ("compile_model",),
    "autoglmc.compiler.driver.result": ("CompileResult",),
    "autoglmc.compiler.driver.search_budget": ("SearchBudget",),
    "autoglmc.compiler.errors": (
        "BundleError", "Infeasible", "ModelError", "PassError", "SearchEnded", "TargetError", "UsageError", "UserError", "UserPassError",
        "VerifyError",
    ),
    "autoglmc.compiler.hw.load_target": ("load_target",),
    "autoglmc.compiler.run.bundle": ("Bundle",),
    "autoglmc.compiler.run.decoder.decoder": ("Decoder",),
    "autoglmc.compiler.run.decoder.linked": ("Linked",),
    "autoglmc.compiler.run.decoder.recurrent": ("Recurrent",),
    "autoglmc.compiler.run.outputs": ("Outputs",),
    "autoglmc.compiler.run.session": ("Session",),
    "autoglmc.compiler.surgery.rewrite": ("rewrite",),
    "autoglmc.compiler.surgery.user_pass": ("UserPass",),
    "autoglmc.compiler.verify.check_model": ("CheckResult",),
    "autoglmc.compiler.verify.compare": ("TensorDifference",),
    "autoglmc.compiler.verify.report": ("VerifyReport",),
    "autoglmc.grammar.text.diagnostics": ("HwError",),
    "autoglmc.targets.model": ("Target",),
}  # fmt: skip
_HOMES = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("autoglmc")
    if name not in _HOMES:
        raise AttributeError(f"module 'autoglmc' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
