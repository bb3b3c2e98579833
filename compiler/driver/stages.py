"""Keeps what the model was before its passes and after them, so that verification can hold both against the reference."""

from __future__ import annotations

from ...passes.mapped.mapped_tensor import whole_size
from ..pipeline.table import Pass
from ..pipeline.whole_model import light_whole_model
from ..pipeline.work import Work
from ..verify.stages import Stage

LAST = "tune-segments"
"""The pass after which the graph is what is written."""
LARGEST = 1 << 29
"""Bytes of weights above which stages are not kept: onnxruntime may copy those of a stage (where it writes out functions)."""


class Stages:
    """A watcher of one attempt."""

    stage = ""

    def __init__(self) -> None:
        self.kept: list[Stage] = []

    def begin(self, work: Work) -> None:
        """The model as it was lifted and simplified."""
        self._keep("simplified", work)

    def after(self, row: Pass, work: Work) -> None:
        if row.name == LAST:
            self._keep("rewritten", work)

    def _keep(self, name: str, work: Work) -> None:
        if sum(whole_size(tensor) for tensor in work.graph.constants.values()) < LARGEST:
            approximated = any(site.contract == "bounded" for site in work.sites)
            self.kept.append(Stage(name=name, model=light_whole_model(work), approximated=approximated))
