"""`autoglmc.why`: why operators are not on the device where they could be fast, and what would change that."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from ...targets.model import Target
from ..explain.explain_asked import explain_asked
from ..explain.explain_entries import Question
from ..explain.explain_model import TRIES
from ..load.source import source_of
from .arguments import effort_of
from .asked import Buckets, asked_of, state_of
from .why_report import WhyReport, report_of

if TYPE_CHECKING:
    from ..load.bind_shapes import Shapes
    from ..load.source import Model


def why(
    model: Model | Mapping[str, Model] | None = None,
    target: str | os.PathLike[str] | Target | None = None,
    node: str = "",
    *,
    shapes: Shapes | None = None,
    device: str | None = None,
    effort: float = 1.0,
    tries: int = TRIES,
    states: str | Iterable[str] | Mapping[str, str] = (),
    max_length: int | None = None,
    given: str | Iterable[str] = (),
    cache_dtype: str | None = None,
    buckets: Buckets = (),
    links: str | Iterable[str] = (),
    deploy: str | os.PathLike[str] | None = None,
) -> WhyReport:
    """Why operators of a model are not on the preferred device of a target, and the smallest change that would place them there.

    - model: a path, an onnx.ModelProto or an onnx_graphsurgeon.Graph; it is not changed. Several that become one bundle: a mapping from
      names to them. target: as for `compile`.
    - node: the name of a node, a tensor or an operator ("Softmax"): what every device says of it.
    - shapes: as for `compile`; usual sizes are assumed for dims without one (`report.assumed_shapes`).
    - device: the device to explain, by default the accelerator with the highest sustained peak.
    - effort: as for `compile`. tries: for so many groups the gain is computed by placing the model anew.
    - states, max_length, given, cache_dtype, buckets, links, deploy: as for `compile`, of a bundle of several entries. Then
      `report.entries` has a report for each, planned in the way that is the fastest (`report.entries["decode"].ways`).

    Raises UsageError for a device or node that is not there, ModelError and HwError as `compile` does.

    >>> report = autoglmc.why("lightnet.onnx", "tensor_g2", shapes={"batch": 1})
    >>> report.operators
    {'npu': 33, 'gpu': 0, 'cpu': 20}
    >>> group = report.groups[0]
    >>> f"{len(group.nodes)} {group.operator} on {group.runs_on}: {group.reason}"
    '4 Gelu on cpu: runs on npu, but costs 646 us more: compute +1.26 ms, dispatch -415 us, handoffs -200 us'
    """
    asked = asked_of(model, target, shapes, state_of(states, max_length, given, cache_dtype), buckets, links, deploy)
    question = Question(asked.target, node, device, effort_of(effort), tries)
    models = {name: source_of(one) for name, one in asked.models.items()}
    return report_of(explain_asked(models, question, **asked.words), ", ".join(map(str, models.values())))
