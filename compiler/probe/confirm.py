"""Fresh inputs for a segment: whether what a probe found on one set of values is so on others, too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from .slice_model import all_values

if TYPE_CHECKING:
    import numpy
    import onnx

    Array = numpy.ndarray[Any, Any]

SCALES = (1.0, 0.5)
"""Of the fresh sets: what is right at either is not called wrong at large."""


def fresh_values(model: onnx.ModelProto, inputs: Mapping[str, Array]) -> Iterator[dict[str, Array]]:
    """All tensors of the model on shuffled and scaled inputs; sets that it does not run on are left out. Whole numbers are shuffled alone:
    each stays one that the model takes."""
    import numpy

    for seed, scale in enumerate(SCALES):
        random = numpy.random.default_rng(seed)
        fresh = {}
        for name in sorted(inputs):
            value = numpy.asarray(inputs[name])
            mixed = random.permutation(value.reshape(-1)).reshape(value.shape)
            fresh[name] = (mixed * scale).astype(value.dtype) if value.dtype.kind == "f" else mixed
        try:
            yield all_values(model, fresh)
        except Exception:  # of onnxruntime: shuffled inputs may be ones that the model does not take
            continue
