"""A segment, or a whole model, as a .tflite file: `write_tflite`; and what of it LiteRT cannot run: `refusals`.

Needs the extra `litert`: its schema writes the file. Nothing is run here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True, slots=True)
class Refusal:
    """A node that is not converted, and why; `node` and `operator` are "" where it is about an input or output of the graph."""

    node: str
    operator: str
    reason: str


def write_tflite(
    model: onnx.ModelProto, *, channels_last: Collection[str] = (), metadata: Mapping[str, str] | None = None
) -> bytes:
    """The file of a model whose weights are inline and whose shapes are all known.

    Inputs and outputs have the model's names, order, dtypes and shapes; those of rank 4 that `channels_last` names are NHWC instead of NCHW.
    `metadata` goes into the file as it is. The same model gives the same bytes. Raises Refused naming operator, node and reason.
    """
    raise NotImplementedError


def refusals(model: onnx.ModelProto) -> tuple[Refusal, ...]:
    """Every node that `write_tflite` would refuse, by the same code; empty where it writes the file."""
    raise NotImplementedError
