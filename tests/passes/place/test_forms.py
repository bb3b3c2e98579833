"""Tensors change dtype or the order of their axes only between devices that hold them differently: against an enumeration of all plans."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from make_target import make_cpu, make_device, make_link, make_target
from small_models import parse

from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.compiler.run.bundle import Bundle
from autoglmc.passes.graph.graph import Graph
from autoglmc.passes.place.place_operators import ask, state
from autoglmc.passes.place.solve_placement import place
from autoglmc.targets.model import Target

NAMES = ("a", "b", "cpu")
HANDOFF, RATE = 1e-6, 1e8
KINDS = ("Exp", "Relu", "Sin", "Tanh")


@st.composite
def machines(draw: st.DrawFn) -> Target:
    """Two accelerators, each with its operators, order of axes and dtype; links share in fp16, or in whatever it is."""
    devices = []
    for name in NAMES[:-1]:
        kinds = draw(st.lists(st.sampled_from(KINDS), min_size=1, unique=True))
        made = make_device(
            name, kinds, dtypes=(draw(st.sampled_from(["fp16", "fp32"])),), dispatch=0.0, launch=draw(st.integers(0, 9)) * 1e-6
        )
        devices.append(replace(made, layout=draw(st.sampled_from(["nchw", "nhwc"]))))
    cpu = make_cpu(peak=1e12, dispatch=0.0, launch=draw(st.integers(0, 20)) * 1e-6)
    links = [make_link(a, b, zero_copy=True, bandwidth=RATE, handoff=HANDOFF) for a, b in (("a", "b"), ("a", "cpu"), ("b", "cpu"))]
    return make_target([*devices, cpu], links)


def written_by(kinds: list[str], readers: list[int]) -> onnx.ModelProto:
    """Operator k reads what operator readers[k] wrote (-1: the input); the last is the output."""
    names = ["x", *(f"t{k}" for k in range(len(kinds)))]
    body = " ".join(f"t{k} = {kind}({names[readers[k] + 1]})" for k, kind in enumerate(kinds))
    return parse(f"g (float[1,3,8,8] x) => ({', '.join(f'float[1,3,8,8] t{k}' for k in unread(readers))}) {{ {body} }}")


def unread(readers: list[int]) -> list[int]:
    return [k for k in range(len(readers)) if k not in readers]


@settings(max_examples=80, deadline=None)
@given(machines(), st.data())
def test_the_plan_is_the_cheapest_with_one_conversion_per_device_of_another_form(target: Target, data: st.DataObject) -> None:
    kinds = data.draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=6))
    readers = [data.draw(st.integers(-1, k - 1)) for k in range(len(kinds))]
    question = state(ask(Graph(onnx.shape_inference.infer_shapes(written_by(kinds, readers))), target, (), {}))
    placement = place(question)
    assert placement is not None
    runs = [[d.name == "cpu" or any(rule.operator == kind for rule in d.supports[0].rules) for d in target.devices] for kind in kinds]
    seconds_of = {
        question.nodes[members[0]].writes[0]: u.seconds for u, members in zip(question.problem.units, question.units, strict=True)
    }
    copying = 3 * 8 * 8 * 4 / RATE
    best = float("inf")
    for plan in product(range(3), repeat=len(kinds)):
        if not all(runs[k][d] for k, d in enumerate(plan)):
            continue
        seconds = sum(seconds_of[f"t{k}"][d] or 0.0 for k, d in enumerate(plan))
        for source in range(-1, len(kinds)):
            here = 2 if source < 0 else plan[source]
            there = {plan[k] for k, reads in enumerate(readers) if reads == source}
            there |= {2} if source in unread(readers) else set()
            for device in there - {here}:
                forms = [target.devices[d].layout for d in (here, device)]
                seconds += HANDOFF + (copying if forms[0] != forms[1] else 0)
        best = min(best, seconds)
    assert placement.solution.price.total == pytest.approx(best, rel=2e-4)


MACHINE = """hw 1;
target t {{
  onnx opset 13..21;
  memory dram {{ size 1 GiB; bandwidth 10 GB/s; page 4 KiB; shared npu, gpu, cpu; }}
  device npu : x {{ runtime none; peak {dtype} 1 TOPS; dispatch 1 ns; launch 1 ns; supports {dtype} {{ Conv; }} {layout} }}
  device gpu : x {{ runtime none; peak {dtype} 1 TOPS; dispatch 1 ns; launch 1 ns; supports {dtype} {{ Sin; }} {more} }}
  device cpu : x {{ runtime ort; peak fp32 1 MOPS; dispatch 1 ns; launch 1 ns; supports all; }}
  link npu <-> gpu {{ {shares} handoff 1 ns; }}
  link npu <-> cpu {{ {shares} handoff 1 ns; }}
  link gpu <-> cpu {{ {shares} handoff 1 ns; }}
}}"""
MODEL = """g (float[1,3,8,8] x) => (float[1,5,8,8] y, float[1,5,8,8] s) <float[5,3,3,3] w>
 { c = Conv<pads = [1,1,1,1]>(x, w) s = Sin(c) y = Sqrt(c) }"""


def compiled(tmp_path: Path, **words: str) -> tuple[Bundle, Path]:
    (tmp_path / "t.hw").write_text(MACHINE.format(**{"dtype": "fp32", "layout": "", "more": "", **words}))
    model = parse(MODEL.replace("<float[5,3,3,3] w>", ""))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.random.default_rng(0).normal(size=(5, 3, 3, 3)).astype(np.float32), "w"))
    onnx.save(model, tmp_path / "m.onnx")
    compile_model(tmp_path / "m.onnx", tmp_path / "t.hw", output=tmp_path / "b", emulate=True)
    return Bundle.load(tmp_path / "b"), tmp_path / "m.onnx"


def bit_equal(bundle: Bundle, model: Path) -> None:
    given = {"x": np.random.default_rng(1).normal(size=(1, 3, 8, 8)).astype(np.float32)}
    found = bundle.session(emulate=True, poison=True).run(given)
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    for name, expected in zip([value.name for value in session.get_outputs()], session.run(None, given), strict=True):
        np.testing.assert_array_equal(found[name], expected)


def modes(bundle: Bundle) -> dict[tuple[str, str, str], tuple[str, str]]:
    return {(h.tensor, h.producer, h.consumer): (h.mode, h.device_dtype) for h in bundle.manifest.handoffs}


def test_channels_last_between_two_devices_stays_and_is_converted_for_the_host(tmp_path: Path) -> None:
    bundle, model = compiled(tmp_path, layout="layout nhwc;", more="layout nhwc;", shares="zero_copy; copy 1 GB/s;")
    assert modes(bundle) == {
        ("x", "cpu", "npu"): ("convert", "fp32"),
        ("c", "npu", "gpu"): ("zero_copy", "fp32"),
        ("c", "npu", "cpu"): ("convert", "fp32"),
        ("s", "gpu", "cpu"): ("convert", "fp32"),
    }
    (shared,) = [slot for slot in bundle.manifest.arena.slots if slot.aliases]
    assert (shared.tensor, shared.aliases, shared.strides, shared.packed_on_cpu) == ("c", ("gpu",), (1280, 4, 160, 20), True)
    assert sum(step.kind == "convert" for step in bundle.manifest.schedule) == 3
    bit_equal(bundle, model)


def test_one_order_everywhere_converts_nothing(tmp_path: Path) -> None:
    bundle, model = compiled(tmp_path, shares="zero_copy; copy 1 GB/s;")
    assert {mode for mode, _ in modes(bundle).values()} == {"zero_copy"}
    bit_equal(bundle, model)


def test_devices_of_two_orders_convert_between_them(tmp_path: Path) -> None:
    bundle, model = compiled(tmp_path, layout="layout nhwc;", more="layout nchw;", shares="zero_copy; copy 1 GB/s;")
    assert modes(bundle)["c", "npu", "gpu"] == ("convert", "fp32") and modes(bundle)["s", "gpu", "cpu"] == ("zero_copy", "fp32")
    bit_equal(bundle, model)


def test_a_tensor_stays_in_the_dtype_that_both_devices_compute_in(tmp_path: Path) -> None:
    bundle, model = compiled(tmp_path, dtype="fp16", shares="zero_copy where dtype == fp16 else copy 1 GB/s;")
    assert modes(bundle) == {
        ("x", "cpu", "npu"): ("convert", "fp16"),
        ("c", "npu", "gpu"): ("zero_copy", "fp16"),
        ("c", "npu", "cpu"): ("convert", "fp16"),
        ("s", "gpu", "cpu"): ("convert", "fp16"),
    }
    dtypes = {(slot.tensor, slot.device): slot.device_dtype for slot in bundle.manifest.arena.slots}
    assert dtypes == {("x", "cpu"): "fp32", ("x", "npu"): "fp16", ("c", "npu"): "fp16", ("c", "cpu"): "fp32", ("s", "gpu"): "fp16",
                      ("s", "cpu"): "fp32", ("y", "cpu"): "fp32"}  # fmt: skip
    bit_equal(bundle, model)
