"""`autoglmc.check`: is this a model that can be compiled?"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ..activity import Limits, limited
from ..load.source import source_of
from ..verify.check_model import CheckResult, check_model
from .arguments import sizes_of

if TYPE_CHECKING:
    from ..load.bind_shapes import Shapes
    from ..load.source import Model


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What `check` found."""

    model: str
    """The path, or the name of a model in memory."""
    checks: tuple[CheckResult, ...]
    """format, versions, structure, weights, forward, in this order."""

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return all(check.status == "pass" for check in self.checks)

    def as_json(self) -> dict[str, Any]:
        """What `check --json` prints."""
        return {"file": self.model, "passed": self.passed, "checks": [asdict(check) for check in self.checks]}

    def __repr__(self) -> str:
        lines = [f"  {c.status:<8}{c.name:<10} {c.message}{f' ({c.help})' if c.help else ''}" for c in self.checks]
        return "\n".join([f"<CheckReport {self.model!r}: {'passed' if self.passed else 'failed'}", *lines]) + ">"


def check(model: Model, *, shapes: Shapes | None = None, time_limit: float | None = None) -> CheckReport:
    """Five checks of a model before it is used; each runs even if another failed, where it can.

    - format: it is an ONNX model. versions: its IR version and opsets are known. structure: onnx.checker passes, names are unique,
      there is no cycle. weights: all are there, of the size that their shape says. forward: onnxruntime runs it.
    - model: a path, an onnx.ModelProto or an onnx_graphsurgeon.Graph; it is not changed.
    - shapes: sizes to run it with where it leaves dims open, as for `compile`; usual ones are tried for the rest.
    - time_limit: seconds that loading or running the model may take in this process; a model that takes longer fails `forward`.

    A fault is not an exception: see `report.passed` and `report.checks`. Raises UsageError where
    there is no such file, or no dim or input of a name in `shapes`.

    >>> report = autoglmc.check("lightnet.onnx")
    >>> report.passed
    True
    >>> report.checks[2]
    CheckResult(name='structure', status='pass', message='onnx.checker passes; names are unique; no cycle', help='')
    """
    source = source_of(model)
    with limited(Limits(time_limit)):
        return CheckReport(str(source), check_model(source, sizes_of(shapes)))
