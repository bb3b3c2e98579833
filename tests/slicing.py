"""Cuts a model into consecutive slices on given devices: stands in for the placement where a test is about what comes after it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import onnx
from onnx import helper, shape_inference

from autoglmc.compiler.bundle.manifest import BoundRecord, ErrorsRecord, LimitRecord, Manifest, TargetRecord
from autoglmc.compiler.bundle.manifest_json import claims_bundle
from autoglmc.compiler.bundle.plan_records import HandoffRecord, Mode
from autoglmc.compiler.bundle.publish import publish
from autoglmc.compiler.emit.emit import write_bundle
from autoglmc.compiler.emit.manifest_of import manifest_of
from autoglmc.compiler.plan.arena import plan_arena
from autoglmc.compiler.plan.segments import Compiled
from autoglmc.compiler.plan.views import plan_with_views
from autoglmc.compiler.run.bundle import Bundle
from autoglmc.passes.graph.graph import Graph
from autoglmc.passes.place.placed import Part
from autoglmc.passes.place.segment import Segment
from autoglmc.targets.model import Runtime
from autoglmc.targets.operator_view import TensorView

DTYPES = {1: "fp32", 6: "int32", 7: "int64", 8: "string", 9: "bool", 10: "fp16", 11: "fp64"}
ORT, ABSENT = Runtime(adapter="ort", words=()), Runtime(adapter="htp", words=("v73",))


def cut(
    model: onnx.ModelProto,
    devices: tuple[str, ...],
    *,
    modes: tuple[Mode, ...] = ("zero_copy",),
    runtimes: dict[str, Runtime] | None = None,
    align: int = 64,
    row_align: int = 1,
    length_multiple: int = 1,
) -> Compiled:
    """`len(devices)` slices of about equal node count; the i-th handoff takes the i-th mode, round and round. The host is "cpu"."""
    model = shape_inference.infer_shapes(model, data_prop=True)
    graph, weights = model.graph, {t.name: t for t in model.graph.initializer}
    inputs = [v.name for v in graph.input if v.name not in weights]
    outputs = [v.name for v in graph.output]
    values = {v.name: v for v in (*graph.input, *graph.value_info, *graph.output)}
    size = -(-len(graph.node) // len(devices))
    parts = [list(graph.node[i * size : (i + 1) * size]) for i in range(len(devices))]
    segments = []
    for index, (nodes, device) in enumerate(zip(parts, devices, strict=True)):
        made = {name for node in nodes for name in node.output if name}
        read = {name for node in nodes for name in reads(node)}
        later = {name for other in parts[index + 1 :] for node in other for name in reads(node)}
        ins = tuple(dict.fromkeys(n for node in nodes for n in reads(node) if n not in made and n not in weights))
        outs = tuple(dict.fromkeys(n for node in nodes for n in node.output if n in later or n in outputs))
        body = helper.make_graph(
            nodes, f"part{index}", [values[n] for n in ins], [values[n] for n in outs], [weights[n] for n in sorted(read & set(weights))],
            value_info=[values[n] for n in sorted(made - set(outs)) if n in values],
        )  # fmt: skip
        part = helper.make_model(body, opset_imports=model.opset_import, ir_version=model.ir_version)
        segments.append(segment(index, device, part, ins, outs))
    crossing = dict.fromkeys([*inputs, *outputs, *(n for s in segments for n in (*s.inputs, *s.outputs))])
    tensors = {name: spec(values[name]) for name in crossing}
    return Compiled(
        segments=tuple(segments),
        tensors=tensors,
        handoffs=handoffs(segments, inputs, outputs, tensors, modes, (align, row_align, length_multiple)),
        graph_inputs=tuple(inputs),
        graph_outputs=tuple(outputs),
        host="cpu",
        runtimes={"cpu": ORT, **{d: ORT for d in devices}, **(runtimes or {})},
    )


def segment(
    index: int, device: str, model: onnx.ModelProto, inputs: tuple[str, ...], outputs: tuple[str, ...], dtype: str = "fp32"
) -> Segment:
    """The model as one segment, a launch for each node."""
    graph = Graph(model)
    return Segment(
        index=index, part=Part(device, tuple(graph.nodes), 1e-3, (dtype,)), graph=graph, inputs=inputs, outputs=outputs,
        groups=tuple((node,) for node in graph.nodes), opset=graph.opset, internal_peak=0,
    )  # fmt: skip


def handoffs(
    segments: list[Segment],
    inputs: list[str],
    outputs: list[str],
    tensors: dict[str, TensorView],
    modes: tuple[Mode, ...],
    rules: tuple[int, int, int],
) -> tuple[HandoffRecord, ...]:
    made = {**{n: "cpu" for n in inputs}, **{n: s.device for s in segments for n in s.outputs}}
    pairs = [(n, made[n], s.device) for s in segments for n in s.inputs] + [(n, made[n], "cpu") for n in outputs]
    unique = [pair for pair in dict.fromkeys(pairs) if pair[1] != pair[2]]
    return tuple(
        HandoffRecord(
            tensor=n, producer=a, consumer=b, mode=modes[i % len(modes)], mechanism="shared", origin="box.hw:7", fallback="copy",
            fallback_seconds=0.0,
            query_at_runtime=(),
            align=rules[0], row_align=rules[1], length_multiple=rules[2],
            bytes=tensors[n].bytes or 0, seconds=1e-6, device_dtype=tensors[n].dtype,
        )
        for i, (n, a, b) in enumerate(unique)
    )  # fmt: skip


def reads(node: onnx.NodeProto) -> list[str]:
    """What a node reads, bodies included."""
    names = [name for name in node.input if name]
    for attribute in node.attribute:
        for body in (attribute.g, *attribute.graphs):
            made = {n for inner in body.node for n in inner.output} | {t.name for t in body.initializer} | {v.name for v in body.input}
            names += [n for inner in body.node for n in reads(inner) if n not in made] + [v.name for v in body.output if v.name not in made]
    return names


def bound(model: onnx.ModelProto, extent: int = 1) -> onnx.ModelProto:
    """A copy with every unbound input dim set; inferred shapes of the file are dropped, since they name the dims."""
    model = onnx.ModelProto.FromString(model.SerializeToString())
    del model.graph.value_info[:]
    for value in (*model.graph.input, *model.graph.output):
        for dim in value.type.tensor_type.shape.dim:
            if not dim.HasField("dim_value"):
                dim.dim_value = extent
    return model


def spec(value: onnx.ValueInfoProto) -> TensorView:
    if not value.type.HasField("tensor_type"):
        return TensorView(value.name, "sequence", None, False)
    tensor = value.type.tensor_type
    known = tensor.HasField("shape") and all(d.HasField("dim_value") for d in tensor.shape.dim)
    return TensorView(value.name, DTYPES[tensor.elem_type], tuple(d.dim_value for d in tensor.shape.dim) if known else None, False)


Facts = dict[str, Any]
"""What `manifest_of` is given besides the plan."""


def facts(model: bytes = b"", *, bounds: tuple[BoundRecord, ...] = (), limits: tuple[LimitRecord, ...] = ()) -> Facts:
    """What a manifest says besides the plan, for a model file of these bytes."""
    return {
        "model_sha256": hashlib.sha256(model).hexdigest(),
        "model_opset": 17,
        "target": TargetRecord(name="box", sha256="0" * 64, language=1),
        "version": "0",
        "limits": limits,
        "errors": ErrorsRecord(bounds=bounds, measured=()),
    }


def bundle_of(compiled: Compiled, out: Path, known: Facts | None = None, *, in_place: bool = True, views: bool = False) -> Bundle:
    """Planned, written to `out`, and loaded."""
    emit(compiled, known or facts(), out, in_place=in_place, views=views)
    return Bundle.load(out)


def emit(compiled: Compiled, known: Facts, out: Path, *, in_place: bool = True, views: bool = False) -> Manifest:
    """Planned and written to `out`. `views`: without the operators that places can stand for."""
    compiled, planned = plan_with_views(compiled, None) if views else (compiled, plan_arena(compiled, in_place=in_place))
    with publish(out, claims_bundle) as folder:
        manifest = write_bundle(compiled, manifest_of(compiled, planned, **known), folder)
        assert isinstance(manifest, Manifest)
    return manifest
