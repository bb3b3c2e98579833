"""Generated inputs as a model would plausibly get them, so that its outputs depend on them: images, tokens, masks, bytes, states.

What an input is meant for is read off its dtype, rank, name, and where it flows: an integer that ends as an index must stay
below the table's size, one that ends as a shape must be that shape. A mask lets everything pass, so that what it masks is not hidden
from a comparison.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ..errors import ModelError
from ..load.bind_shapes import real_inputs
from .make_images import coarse_noise, image
from .operands import Fit, fits_of
from .steps import flow_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import onnx

    Array = npt.NDArray[Any]

MASK = re.compile(r"mask|padding", re.I)
STATE = re.compile(r"state|hidden|cache|past|memory|^h_?0$|^c_?0$", re.I)
RATE = re.compile(r"^sr$|sampl\w*_?rate", re.I)
LENGTH = re.compile(r"len(gth)?s?$", re.I)
POSITION = re.compile(r"position", re.I)

SAMPLE_RATE = 16000
"""Hertz; what speech models are trained at."""
BYTE = 256
"""Integers whose meaning is unknown are bytes: in range of most tables, and of what byte-level models take."""
SEQUENCE = 3
"""Tensors in a sequence."""
SYMBOLS = 24
"""How many different ones occur: text and code use few, and to a byte-level model all uniform noise is one thing, noise."""
CHANNELS = (1, 3, 4)
"""Of images; another rank-4 tensor is a feature map."""
STATE_SCALE = 0.1


def generate_inputs(
    model: onnx.ModelProto,
    seed: int,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    fits: Mapping[str, Fit] | None = None,
) -> dict[str, Any]:
    """An array (a list of them for a sequence) for every input that must be fed, the same for equal seeds, whatever the inputs' order.

    Every dim must be bound, in the model or by `shapes` (input name -> full shape). Raises ModelError for an
    input that is neither a tensor nor a sequence of tensors. fits: what the inputs may hold, where that is known already.
    """
    import numpy as np

    known = fits_of(flow_of(model, shapes)) if fits is None else fits
    made: dict[str, Any] = {}
    for value in real_inputs(model.graph):
        if value.type.HasField("sequence_type"):
            made[value.name] = [np.asarray(_array(item, seed, None, None)) for item in _items(value)]
        else:  # numpy gives a scalar, not an array, for some shapes ()
            made[value.name] = np.asarray(_array(value, seed, known.get(value.name), (shapes or {}).get(value.name)))
    return made


def _items(sequence: onnx.ValueInfoProto) -> Iterator[onnx.ValueInfoProto]:
    """Descriptions of the tensors to put into a sequence, each with a name of its own, so that they differ; open dims become 1."""
    for number in range(SEQUENCE):
        item = type(sequence)(name=f"{sequence.name} {number}", type=sequence.type.sequence_type.elem_type)
        for dim in item.type.tensor_type.shape.dim:
            dim.dim_value = dim.dim_value if dim.HasField("dim_value") else 1
        yield item


def small_shapes(model: onnx.ModelProto, length: int, side: int) -> dict[str, tuple[int, ...]]:
    """A full shape for every input: unbound dims become 1 (first dim, or called batch), `side` (rows and columns of a rank-4
    input) or `length` (anything else); dims of one name get one size."""
    sizes: dict[str, int] = {}
    shapes = {}
    for value in real_inputs(model.graph):
        dims = value.type.tensor_type.shape.dim
        shape = []
        for i, dim in enumerate(dims):
            size = 1 if i == 0 or "batch" in dim.dim_param.lower() else side if len(dims) >= 4 and i >= len(dims) - 2 else length
            if dim.HasField("dim_value") and dim.dim_value >= 0:
                size = dim.dim_value
            elif dim.dim_param not in ("", "?"):
                size = sizes.setdefault(dim.dim_param, size)
            shape.append(size)
        shapes[value.name] = tuple(shape)
    return shapes


def _array(value: onnx.ValueInfoProto, seed: int, fit: Fit | None, shape: tuple[int, ...] | None) -> Array:
    import numpy as np
    from onnx import TensorProto, helper

    if not value.type.HasField("tensor_type"):
        kind = (value.type.WhichOneof("value") or "unknown type").removesuffix("_type")
        raise ModelError(f"cannot generate data for input '{value.name}', a {kind}", help="compile with --no-verify")
    code = value.type.tensor_type.elem_type
    if shape is None:
        shape = tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)
    rng = np.random.default_rng([seed, zlib.crc32(value.name.encode())])
    if code == TensorProto.STRING:
        return np.array([f"word{n}" for n in rng.integers(0, 100, int(np.prod(shape)))], dtype=object).reshape(shape)
    dtype = helper.tensor_dtype_to_np_dtype(code)
    if fit is not None and fit.exact is not None and len(fit.exact) == int(np.prod(shape)) and code != TensorProto.BOOL:
        return np.array(fit.exact).reshape(shape).astype(dtype)
    if dtype == np.bool_:
        return np.ones(shape, dtype) if MASK.search(value.name) else rng.random(shape) < 0.5
    if dtype.kind in "iu" or code in (TensorProto.INT4, TensorProto.UINT4):
        return _integers(value.name, shape, dtype, fit if fit is not None and fit.exact is None else None, rng)
    return _reals(value.name, shape, rng).astype(dtype)


def _integers(name: str, shape: tuple[int, ...], dtype: np.dtype[Any], fit: Fit | None, rng: np.random.Generator) -> Array:
    import numpy as np

    if MASK.search(name):
        return np.ones(shape, dtype)
    if POSITION.search(name) and shape:
        return np.broadcast_to(np.arange(shape[-1]) % (fit.high + 1 if fit is not None else BYTE), shape).astype(dtype)
    if fit is not None:
        return rng.integers(fit.low, fit.high, shape, endpoint=True).astype(dtype)
    if RATE.search(name):
        return np.full(shape, SAMPLE_RATE, dtype)
    if int(np.prod(shape)) == 1 or LENGTH.search(name):
        return np.ones(shape, dtype)
    low, high = (np.iinfo(dtype).min, np.iinfo(dtype).max) if dtype.kind in "iu" else (0, 7)
    symbols = rng.integers(max(low, -128) if high < BYTE else 0, min(high + 1, BYTE), SYMBOLS)
    return symbols[rng.integers(0, SYMBOLS, shape)].astype(dtype)


def _reals(name: str, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    import numpy as np

    if MASK.search(name):
        return np.ones(shape)
    if STATE.search(name):
        return STATE_SCALE * rng.standard_normal(shape)
    if len(shape) == 4 and shape[1] in CHANNELS:
        return image(shape, rng)
    return coarse_noise(shape, min(len(shape), 2 if len(shape) >= 3 else 1), 1.0, rng)
