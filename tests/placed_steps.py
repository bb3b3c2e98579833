"""Steps of a decoder in one of the ways to write them, held against a growing cache, with NaN in all places that are not filled."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import onnx
import onnxruntime
from growing_cache import GrowingCache

from autoglmc.compiler.load.source import MemoryModel
from autoglmc.compiler.state.fixed_models import fixed_models
from autoglmc.compiler.state.request import StateRequest
from autoglmc.compiler.state.ways import PLACED, WayName, Ways

LENGTH, TOKENS = 13, 3


def farthest(model: onnx.ModelProto, way: WayName = PLACED) -> float:
    """How far logits of steps are from those of a growing cache; infinite for NaN. Raises ModelError where rows cannot be placed."""
    ways, state = Ways(names=(way,), others=False), StateRequest((("past.*", "present.*"),), LENGTH)
    fixed = fixed_models(MemoryModel(model, "model"), state, LENGTH, {"step": TOKENS}, {}, lambda name: nullcontext(), ways)
    session = onnxruntime.InferenceSession(fixed.steps["step"].written[way].proto.SerializeToString())
    names, growing, draw = [value.name for value in session.get_outputs()], GrowingCache(model), np.random.default_rng(0)
    shapes = {value.name: value.shape for value in session.get_inputs()}
    caches = {name: np.full(shapes[name], np.nan, np.float32) for name in fixed.axes}
    worst = 0.0
    kind = np.int32 if session.get_inputs()[0].type == "tensor(int32)" else np.int64
    for begin in range(0, LENGTH - TOKENS + 1, TOKENS):
        ids = draw.integers(0, 32, (1, TOKENS))
        made = dict(zip(names, session.run(None, {"input_ids": ids.astype(kind), fixed.counter: np.array([begin]), **caches}), strict=True))
        for past, present in fixed.states:
            rows = (*(slice(None),) * fixed.axes[past], slice(begin, begin + TOKENS))
            caches[past][rows] = made[present] if made[present].shape != caches[past].shape else made[present][rows]
        apart = float(np.abs(made["logits"][0] - growing.step(ids[0].tolist())).max())
        worst = max(worst, apart if np.isfinite(apart) else np.inf)
    return worst
