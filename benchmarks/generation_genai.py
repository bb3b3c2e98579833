"""A decoder's bundle beside onnxruntime-genai with a shared buffer, on the same weights: the same tokens, and how fast.

    python benchmarks/generation_genai.py [--max-length 1024] [--prompt 128] [--tokens 40] [--keep FOLDER] MODEL.onnx

Needs `pip install onnxruntime-genai`. MODEL.onnx is a decoder as Llama's are exported (RMS norms, rotary halves, grouped heads, a gated
SiLU), its MatMul operators in their order. Its weights are written as genai's own model builder writes them (fused attention with packed
projections, fused norms), with a configuration by hand. One thread, both in one process on one processor, their steps alternating; medians
of a step and of a prefill. Ends with 1 where the tokens differ, or where the bundle takes more than LIMIT times as long as genai.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

MICROSOFT = "com.microsoft"
LIMIT = 1.02
"""Times genai: what two medians of the same code differ by here."""
ROUNDS = 7
"""Prefills that are timed."""


@dataclass(frozen=True)
class Llama:
    """What a decoder is made of: float32 matrices as MatMul reads them, [in, out]."""

    table: np.ndarray
    layers: list[dict[str, np.ndarray]]
    last_norm: np.ndarray
    head: np.ndarray
    heads: int
    groups: int
    width: int
    epsilon: float
    base: float


def read_llama(path: Path) -> Llama:
    """Raises ValueError for a model that is not of this kind."""
    graph = onnx.load(path).graph
    constants = {one.name: one for one in graph.initializer}
    array = {name: numpy_helper.to_array(one) for name, one in constants.items()}

    def constants_of(kind: str) -> list[np.ndarray]:
        return [array[name] for one in graph.node if one.op_type == kind for name in one.input if name in array]

    caches = [one for one in graph.input if one.name.startswith("past")]
    groups, width = (caches[0].type.tensor_type.shape.dim[k].dim_value for k in (1, 3))
    products = constants_of("MatMul")
    layers = len(caches) // 2
    if len(products) != 7 * layers + 1:
        raise ValueError(f"{path} has {len(products)} MatMul operators with weights, 7 in each of {layers} layers and one are expected")
    inner = products[0].shape[0]
    norms = [value for value in constants_of("Mul") if value.shape == (inner,)]
    epsilon = next(value.item() for value in constants_of("Add") if value.size == 1)
    turns = next(value for value in array.values() if value.shape == (1, 1, width // 2))
    keys = ("q", "k", "v", "o", "gate", "up", "down")
    scales = [{"norm": norms[2 * k], "after": norms[2 * k + 1]} for k in range(layers)]
    made = [dict(zip(keys, products[7 * k : 7 * k + 7], strict=True)) | scales[k] for k in range(layers)]
    table = next(value for value in constants_of("Gather") if value.ndim == 2)
    base = float(turns[0, 0, 1] ** (-width / 2))
    return Llama(table, made, norms[-1], products[-1], products[0].shape[1] // width, groups, width, epsilon, base)


def write_genai(llama: Llama, folder: Path, length: int) -> None:
    """The model and its configuration, for caches of `length` tokens that past and present share."""
    graph = _Graph()
    positions = np.arange(length)[:, None] * llama.base ** (-np.arange(0, llama.width, 2) / llama.width)[None]
    cos, sin = graph.keep(np.cos(positions)), graph.keep(np.sin(positions))
    summed = graph("Sub", graph("ReduceSum", "attention_mask", graph.keep(np.array([1])), keepdims=0), graph.keep(np.array(1)))
    lengths = graph("Cast", summed, to=TensorProto.INT32)
    total = graph("Cast", graph("Gather", graph("Shape", "attention_mask"), graph.keep(np.array(1))), to=TensorProto.INT32)
    stream = graph("Gather", graph.keep(llama.table), "input_ids")
    norm: dict[str, Any] = {"epsilon": llama.epsilon}
    x = graph("SimplifiedLayerNormalization", stream, graph.keep(llama.layers[0]["norm"]), axis=-1, stash_type=1, **norm)
    for k, layer in enumerate(llama.layers):
        packed = graph("MatMul", x, graph.keep(np.concatenate([layer["q"], layer["k"], layer["v"]], axis=1)))
        past = (f"past_key_values.{k}.key", f"past_key_values.{k}.value")
        present = (f"present.{k}.key", f"present.{k}.value")
        attended = graph("GroupQueryAttention", packed, "", "", *past, lengths, total, cos, sin, outputs=("", *present), domain=MICROSOFT,
                         num_heads=llama.heads, kv_num_heads=llama.groups, do_rotary=1, rotary_interleaved=0)  # fmt: skip
        x, stream = graph.skipped(stream, graph("MatMul", attended, graph.keep(layer["o"])), layer["after"], norm)
        gate, up = graph("MatMul", x, graph.keep(layer["gate"])), graph("MatMul", x, graph.keep(layer["up"]))
        inside = graph("Mul", graph("Mul", gate, graph("Sigmoid", gate)), up)
        after = llama.layers[k + 1]["norm"] if k + 1 < len(llama.layers) else llama.last_norm
        x, stream = graph.skipped(stream, graph("MatMul", inside, graph.keep(layer["down"])), after, norm)
    graph("MatMul", x, graph.keep(llama.head), outputs=("logits",))
    graph.save(folder / "model.onnx", llama)
    (folder / "genai_config.json").write_text(json.dumps(_configuration(llama, length)), encoding="utf-8")


class _Graph:
    def __init__(self) -> None:
        self._nodes: list[Any] = []
        self._kept: list[Any] = []

    def keep(self, value: np.ndarray) -> str:
        kept = value.astype(np.float32) if value.dtype.kind == "f" else value.astype(np.int64)
        self._kept.append(numpy_helper.from_array(np.ascontiguousarray(kept), f"c{len(self._kept)}"))
        return str(self._kept[-1].name)

    def __call__(self, kind: str, *inputs: str, outputs: tuple[str, ...] = ("",), domain: str = "", **attributes: Any) -> str:
        name = outputs[0] or f"t{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, inputs, (name, *outputs[1:]), name=f"n{len(self._nodes)}", domain=domain, **attributes))
        return name

    def skipped(self, stream: str, added: str, scale: np.ndarray, norm: dict[str, Any]) -> tuple[str, str]:
        """The sum, normalised, and the sum."""
        number = len(self._nodes)
        names = (f"norm{number}", "", "", f"sum{number}")
        self("SkipSimplifiedLayerNormalization", stream, added, self.keep(scale), outputs=names, domain=MICROSOFT, **norm)
        return names[0], names[3]

    def save(self, path: Path, llama: Llama) -> None:
        value = helper.make_tensor_value_info
        ids, mask = value("input_ids", TensorProto.INT64, ["batch", "seq"]), value("attention_mask", TensorProto.INT64, ["batch", "total"])
        inputs, outputs = [ids, mask], [value("logits", TensorProto.FLOAT, ["batch", "seq", llama.head.shape[1]])]
        for k in range(len(llama.layers)):
            for what in ("key", "value"):
                inputs.append(value(f"past_key_values.{k}.{what}", TensorProto.FLOAT, ["batch", llama.groups, "past", llama.width]))
                outputs.append(value(f"present.{k}.{what}", TensorProto.FLOAT, ["batch", llama.groups, "total", llama.width]))
        graph = helper.make_graph(self._nodes, "genai", inputs, outputs, self._kept)
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid(MICROSOFT, 1)]
        onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)


def _configuration(llama: Llama, length: int) -> dict[str, Any]:
    pair = {"past_key_names": "past_key_values.%d.key", "past_value_names": "past_key_values.%d.value"}
    back = {"present_key_names": "present.%d.key", "present_value_names": "present.%d.value"}
    decoder = {
        "filename": "model.onnx",
        "session_options": {"intra_op_num_threads": 1, "provider_options": []},
        "head_size": llama.width,
        "hidden_size": llama.table.shape[1],
        "num_attention_heads": llama.heads,
        "num_key_value_heads": llama.groups,
        "num_hidden_layers": len(llama.layers),
        "inputs": {"input_ids": "input_ids", "attention_mask": "attention_mask", **pair},
        "outputs": {"logits": "logits", **back},
    }
    size = llama.table.shape[0]
    ends = {"bos_token_id": 1, "eos_token_id": size - 1, "pad_token_id": size - 1}
    model = {"type": "llama", "vocab_size": size, "context_length": length, "decoder": decoder, **ends}
    return {"model": model, "search": {"do_sample": False, "max_length": length, "past_present_share_buffer": True}}


class Genai:
    """onnxruntime-genai; greedy."""

    def __init__(self, folder: Path, length: int) -> None:
        import onnxruntime_genai

        self._library, self._length = onnxruntime_genai, length
        self._model = onnxruntime_genai.Model(str(folder))

    def prefill(self, prompt: list[int]) -> None:
        parameters = self._library.GeneratorParams(self._model)
        parameters.set_search_options(max_length=self._length, do_sample=False)
        self._generator = self._library.Generator(self._model, parameters)
        self._generator.append_tokens(np.array([prompt], np.int32))

    def next(self) -> int:
        """The likeliest token; after the first, one step of the model."""
        self._generator.generate_next_token()
        return int(self._generator.get_next_tokens()[0])


class Bundle:
    """The bundle; greedy."""

    def __init__(self, folder: Path) -> None:
        import autoglmc
        from autoglmc.compiler.devices import ort

        ort.open_session = partial(ort.open_session, threads=1)  # a session has no option for it
        self._session = autoglmc.Bundle.load(folder).session()

    def prefill(self, prompt: list[int]) -> None:
        self._session.reset()
        self._logits = self._session.step("prefill", {"input_ids": np.array([prompt], np.int64)})["logits"]
        self._token: int | None = None

    def next(self) -> int:
        if self._token is not None:
            self._logits = self._session.step("decode", {"input_ids": np.array([[self._token]], np.int64)})["logits"]
        self._token = int(self._logits[0, -1].argmax())
        return self._token


def timed(run: Callable[[], Any]) -> tuple[float, Any]:
    begun = time.perf_counter()
    found = run()
    return time.perf_counter() - begun, found


def compared(ours: Bundle, theirs: Genai, prompt: list[int], tokens: int) -> int:
    """0 where the tokens are the same and the bundle is as fast."""
    prefills: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        for kept, one in zip(prefills, (ours, theirs), strict=True):
            kept.append(timed(lambda one=one: (one.prefill(prompt), one.next()))[0])  # type: ignore[misc]
    steps: tuple[list[float], list[float]] = ([], [])
    same = True
    for _ in range(tokens):
        (mine, first), (other, second) = timed(ours.next), timed(theirs.next)
        steps[0].append(mine)
        steps[1].append(other)
        same &= first == second
    print(f"{tokens} tokens after a prompt of {len(prompt)}: {'the same' if same else 'DIFFERENT'}")
    wrong = not same
    for what, (mine, other) in (("a token", steps), ("prefill", prefills)):
        bundle, genai = statistics.median(mine), statistics.median(other)
        print(f"{what}: bundle {bundle * 1e3:.2f} ms, onnxruntime-genai {genai * 1e3:.2f} ms: {genai / bundle:.2f}x")
        wrong |= bundle > LIMIT * genai
    return int(wrong)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--max-length", type=int, default=1024)
    parser.add_argument("--prompt", type=int, default=128)
    parser.add_argument("--tokens", type=int, default=40)
    parser.add_argument("--keep", type=Path, help="a folder for the bundle and genai's model: what is there is not made again")
    given = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory(prefix="autoglmc-") as scratch:
        place = given.keep or Path(scratch)
        llama = read_llama(given.model)
        if not (place / "genai").exists():
            (place / "genai").mkdir(parents=True)
            write_genai(llama, place / "genai", given.max_length)
        if not (place / "bundle").exists():
            _compile(given.model, place / "bundle", given.max_length, given.prompt)
        prompt = np.random.default_rng(0).integers(0, llama.table.shape[0] - 1, given.prompt).tolist()
        return compared(Bundle(place / "bundle"), Genai(place / "genai", given.max_length), prompt, given.tokens)


def _compile(model: Path, folder: Path, length: int, prefill: int) -> None:
    from autoglmc.compiler.driver.entries.compile_entries import Asked, compile_entries
    from autoglmc.compiler.state.request import StateRequest

    entries = {"prefill": Asked(shapes={}, tokens=prefill), "decode": Asked(shapes={}, tokens=1)}
    compile_entries(model, "x86_cpu", entries, state=StateRequest((("past*", "present*"),), length), output=folder, verify=False)


if __name__ == "__main__":
    raise SystemExit(main())
