"""A decoder run by onnxruntime as it was exported, its cache longer by every step: what a session of a bundle is held against."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime

from autoglmc.compiler.run.decoder.decoder import Decoder

CLOSE = 1e-4
"""Logits of small decoders closer than this may change places: some hundred times what rounding does to them."""


class GrowingCache:
    """`step` takes tokens and returns logits [tokens, vocabulary]."""

    def __init__(self, model: onnx.ModelProto | str, *, fuse: bool = True) -> None:
        """fuse: whether operators may be fused; where weights are in integers, onnxruntime then rounds activations to 8 bits as well."""
        options = onnxruntime.SessionOptions()
        if not fuse:
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.intra_op_num_threads, options.log_severity_level = 1, 3
        self._session = onnxruntime.InferenceSession(model if isinstance(model, str) else model.SerializeToString(), options)
        self._inputs = {value.name: value for value in self._session.get_inputs()}
        self.reset()

    def reset(self) -> None:
        self.length = 0
        pasts = {name: value.shape for name, value in self._inputs.items() if name.startswith("past.")}
        self._cache: dict[str, Any] = {
            name: np.zeros([0 if extent == "past" else extent if isinstance(extent, int) else 1 for extent in shape], np.float32)
            for name, shape in pasts.items()
        }

    def step(self, tokens: Sequence[int]) -> np.ndarray:
        end = self.length + len(tokens)
        fed = {"input_ids": np.array([tokens]), "attention_mask": self._mask(end), "position_ids": np.arange(self.length, end)[None]}
        fed |= {"num_logits_to_keep": np.array(0), "use_cache_branch": np.array([True])}
        given = {name: self._given(value, fed[name]) for name, value in self._inputs.items() if name in fed}
        names = [value.name for value in self._session.get_outputs()]
        got = dict(zip(names, self._session.run(None, {**given, **self._cache}), strict=True))
        self._cache = {name: got[name.replace("past", "present", 1)] for name in self._cache}
        self.length = end
        return np.asarray(got["logits"][0])

    def _mask(self, end: int) -> np.ndarray:
        """Ones; for each new token where the mask has a row for it, and numbers that are added where it is of floats."""
        value = self._inputs.get("attention_mask")
        if value is None or len(value.shape) == 2:
            return np.ones((1, end))
        seen = np.arange(end) <= np.arange(self.length, end)[:, None]
        return (seen if value.type == "tensor(bool)" else np.where(seen, 0.0, -1e9))[None, None]

    @staticmethod
    def _given(value: Any, array: np.ndarray) -> np.ndarray:
        kind = {"tensor(int64)": np.int64, "tensor(int32)": np.int32, "tensor(float)": np.float32, "tensor(bool)": np.bool_}[value.type]
        return array.astype(kind).reshape(array.shape if array.size > 1 or len(value.shape) != 1 else (1,))

    def greedy(self, prompt: Sequence[int], count: int) -> tuple[list[int], float]:
        """The tokens that follow, and how far apart the two best were at the closest."""
        self.reset()
        found, closest, step = [], np.inf, list(prompt)
        for _ in range(count):
            logits = self.step(step)[-1]
            first, second = np.sort(logits)[:-3:-1]
            closest = min(closest, float(first - second))
            found.append(int(logits.argmax()))
            step = [found[-1]]
        return found, closest


def greedy(session: Decoder, prompt: Sequence[int], count: int) -> list[int]:
    """The tokens of a session after a prompt, places of its caches without a token being NaN."""
    logits, found = session.step("prefill", {"input_ids": np.array([prompt], np.int64)})["logits"], []
    for _ in range(count):
        found.append(int(logits[0, -1].argmax()))
        session.poison()
        if len(found) < count:
            logits = session.step("decode", {"input_ids": np.array([found[-1:]], np.int64)})["logits"]
    return found


def check_tokens(session: Decoder, model: onnx.ModelProto, vocabulary: int) -> None:
    """After prompts of several lengths the session's tokens equal those of the model with a growing cache; each cache has one address."""
    reference = GrowingCache(model)
    for length in (1, 7, 8, 9, 20):
        prompt = np.random.default_rng(length).integers(0, vocabulary, length).tolist()
        expected, closest = reference.greedy(prompt, 40)
        session.reset()
        session.poison()
        assert greedy(session, prompt, 40) == expected or closest < CLOSE
    assert all(len(addresses) == 1 for addresses in session.addresses().values())
