"""Small agents: a model of images, a table of words and a decoder that reads rows of both; and the three run by hand with onnxruntime."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from small_decoders import Decoder, decoder

ROWS, PIXELS = 6, 20
"""Of an image: rows that it becomes in the decoder's input, and numbers in each."""
SPEC = Decoder(layers=2, embeds=True, positions_input=True, ordered=True)
LINKS = ("vision.features=decoder.inputs_embeds@image", "embed.inputs_embeds=decoder.inputs_embeds")


@dataclass(frozen=True, kw_only=True)
class Agent:
    spec: Decoder = SPEC
    rows: int | str = ROWS
    width: int = 0
    """Of the features; 0 for that of the decoder."""
    element: int = TensorProto.FLOAT
    """Of the features."""
    pixels: int = PIXELS
    merged: int = 1
    """Patches that become one row."""

    def models(self) -> dict[str, onnx.ModelProto]:
        return {"vision": self._vision(), "embed": self._embed(), "decoder": decoder(self.spec)}

    def _vision(self) -> onnx.ModelProto:
        width, draw = self.width or self.spec.hidden, np.random.default_rng(5)
        shapes = {"weight": (self.pixels, width), "merger": (self.merged * width, width)}
        constants = [numpy_helper.from_array(draw.standard_normal(shape).astype(np.float32), name) for name, shape in shapes.items()]
        constants.append(numpy_helper.from_array(np.array([-1, self.merged * width]), "shape"))
        nodes = [
            helper.make_node("MatMul", ["patches", "weight"], ["flat"]),
            helper.make_node("Tanh", ["flat"], ["bounded"]),
            helper.make_node("Reshape", ["bounded", "shape"], ["side_by_side"]),
            helper.make_node("MatMul", ["side_by_side", "merger"], ["merged"]),
            helper.make_node("Cast", ["merged"], ["features"], to=self.element),
        ]
        count = self.rows * self.merged if isinstance(self.rows, int) else self.rows
        patches = helper.make_tensor_value_info("patches", TensorProto.FLOAT, [count, self.pixels])
        return _model(nodes, [patches], [helper.make_tensor_value_info("features", self.element, [self.rows, width])], constants)

    def _embed(self) -> onnx.ModelProto:
        table = np.random.default_rng(6).standard_normal((self.spec.vocabulary, self.spec.hidden)).astype(np.float32)
        ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "seq"])
        rows = helper.make_tensor_value_info("inputs_embeds", TensorProto.FLOAT, ["batch", "seq", self.spec.hidden])
        node = helper.make_node("Gather", ["table", "input_ids"], ["inputs_embeds"])
        return _model([node], [ids], [rows], [numpy_helper.from_array(table, "table")])


def _model(nodes: Sequence[Any], inputs: Sequence[Any], outputs: Sequence[Any], constants: Sequence[Any]) -> onnx.ModelProto:
    graph = helper.make_graph(nodes, "part", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model


SHOWN = Agent(rows=16, pixels=216, merged=4)
"""The one of the documentation, tests/models/agent_*.onnx: 64 patches of 6 x 6 pixels, twice three colours."""


class Chain:
    """The three models by hand: copies between them, and a cache that grows."""

    def __init__(self, models: dict[str, onnx.ModelProto | str]) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = 1, 3
        self._each = {
            name: onnxruntime.InferenceSession(model if isinstance(model, str) else model.SerializeToString(), options)
            for name, model in models.items()
        }

    def greedy(self, ids: Sequence[int], images: dict[int, np.ndarray], count: int) -> tuple[list[int], float]:
        """Tokens behind a prompt, whose rows from a place on are those of an image; and how far apart the two best were at the closest."""
        decode = self._each["decoder"]
        shapes = {value.name: value.shape for value in decode.get_inputs()}
        cache = {name: np.zeros((1, shape[1], 0, shape[3]), np.float32) for name, shape in shapes.items() if name.startswith("past.")}
        rows, length, found, closest = self._rows(ids), 0, list[int](), np.inf
        for at, patches in images.items():
            features = self._each["vision"].run(None, {"patches": patches})[0]
            rows[0, at : at + len(features)] = features
        for _ in range(count):
            end = length + rows.shape[1]
            fed = {"inputs_embeds": rows, "attention_mask": np.ones((1, end), np.int64)}
            if "position_ids" in shapes:
                lead = shapes["position_ids"][:-2]
                fed["position_ids"] = np.broadcast_to(np.arange(length, end), (*lead, 1, end - length)).astype(np.int64)
            got = dict(zip((value.name for value in decode.get_outputs()), decode.run(None, {**fed, **cache}), strict=True))
            cache, length = {name: got[name.replace("past", "present", 1)] for name in cache}, end
            logits = got["logits"][0, -1]
            first, second = np.sort(logits)[:-3:-1]
            closest = min(closest, float(first - second))
            found.append(int(logits.argmax()))
            rows = self._rows(found[-1:])
        return found, closest

    def _rows(self, ids: Sequence[int]) -> np.ndarray:
        made: np.ndarray = self._each["embed"].run(None, {"input_ids": np.array([ids], np.int64)})[0]
        return made
