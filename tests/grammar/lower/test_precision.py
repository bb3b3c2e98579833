"""`prefer`, `keep`, `weights`, limits on accuracy: written as text and read back they are the same; upper layers come first; a target's
lines reach the devices that they are about; what they mean for an operator is what `forms_on` says."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoglmc.compiler.hw.difference import differences
from autoglmc.compiler.hw.show_target import target_json
from autoglmc.grammar import analyse_text
from autoglmc.grammar.editor.complete import complete
from autoglmc.grammar.editor.hover import hover
from autoglmc.grammar.show import show_text
from autoglmc.grammar.text.format import format_text
from autoglmc.targets.formula import render
from autoglmc.targets.model import Device, Target
from autoglmc.targets.operator_view import OperatorView, TensorView
from autoglmc.targets.precision import FORMS, OTHER_FORM_NAMES, Keep, Prefer, WeightFormat
from autoglmc.targets.quantised.forms_on import choices_on, forms_on
from autoglmc.targets.support import No, Yes, supports

BOX = """hw 1;
target box {
  onnx opset 13..21;
  memory dram { size 1 GiB; bandwidth 50 GB/s; shared npu, cpu; }
  device npu : tpu {
    runtime none; peak fp16 10 TOPS; peak int8 20 TOPS; dispatch 100 us; launch 1 us;
    supports fp16 { Conv, MatMul, Relu, Softmax; }
    supports int8, uint16 {
      Conv                 where quantised and symmetric(W) and channel_axis(W) == 0;
      MatMul               where quantised and per_tensor(B) and zero_point(A) == 0;
      Relu                 where quantised;
    }
    %s
  }
  device cpu : arm { runtime ort; peak fp32 100 GFLOPS; dispatch 5 us; launch 1 us; supports all; }
  link npu <-> cpu { zero_copy; handoff 30 us; }
  %s
}
"""


def target_of(text: str) -> Target:
    result = analyse_text(text, "box.hw")
    assert result.target is not None, [(found.code, found.message) for found in result.diagnostics]
    return result.target


def read(device: str = "", target: str = "") -> Target:
    return target_of(BOX % (device, target))


def npu(lines: str) -> Device:
    return read(f"precision {{ {lines} }}").device("npu")


# --- written and read back

NAMES = st.lists(st.sampled_from(("Conv", "MatMul", "Gemm", "Softmax", "com.microsoft::Gelu")), min_size=1, max_size=3, unique=True)
FORM = st.sampled_from((*FORMS, *OTHER_FORM_NAMES))
LOSS = st.integers(1, 10_000)
WHERE = st.sampled_from(("opset >= 13", "opset in 13..17 or opset == 21", "not opset == 14"))


@st.composite
def lines(draw: st.DrawFn) -> str:
    kind, form = draw(st.sampled_from(("prefer", "keep"))), draw(FORM)
    names = draw(NAMES) if kind == "keep" or draw(st.booleans()) else []
    parts = [f"loss <= {draw(LOSS) / 100:g} %"] if kind == "prefer" and draw(st.booleans()) else []
    rest = draw(st.one_of(st.none(), WHERE))
    parts += [f"({rest})" if parts and " or " in rest else rest] if rest else []
    return f"{kind} {form}{' ' + ', '.join(names) if names else ''}{' where ' + ' and '.join(parts) if parts else ''};"


@st.composite
def stored(draw: st.DrawFn) -> str:
    words = [draw(st.sampled_from(("int4", "uint4", "int8", "uint8")))]
    words += draw(st.permutations([w for w in (f"block {draw(st.integers(2, 65536))}", "symmetric", "for uint16") if draw(st.booleans())]))
    names = draw(st.one_of(st.just([]), NAMES))
    where = draw(st.one_of(st.just(""), WHERE.map(" where {}".format)))
    return f"weights {' '.join(words)}{' ' + ', '.join(names) if names else ''}{where};"


def written(line: Prefer | Keep | WeightFormat) -> str:
    """The line as the language spells it."""
    names = f" {', '.join(line.operators)}" if line.operators else ""
    rest = [] if line.where is None else [render(line.where)]
    if isinstance(line, WeightFormat):
        words = [f"block {line.block}"] * bool(line.block) + ["symmetric"] * line.symmetric
        words += [f"for {line.activations}"] * bool(line.activations)
        return f"weights {' '.join((line.dtype, *words))}{names}{f' where {rest[0]}' if rest else ''};"
    loss = line.most_loss if isinstance(line, Prefer) else None
    rest = [f"({one})" if loss is not None and " or " in one else one for one in rest]
    parts = [*([f"loss <= {loss * 100!r} %"] if loss is not None else []), *rest]
    on = f" on {line.device}" if line.device else ""
    kind = "prefer" if isinstance(line, Prefer) else "keep"
    return f"{kind} {line.form}{names}{on}{' where ' * bool(parts)}{' and '.join(parts)};"


def told(device: Device) -> list[str]:
    return [written(line) for line in (*device.precision.prefers, *device.precision.keeps, *device.weights)]


@given(st.lists(lines(), max_size=5), st.lists(stored(), max_size=4))
@settings(max_examples=60)
def test_what_is_printed_reads_back_as_the_same(said: Sequence[str], formats: Sequence[str]) -> None:
    text = BOX % (f"{' '.join(formats)} precision {{ {' '.join(said)} }}", "")
    one = target_of(text)
    device = one.device("npu")
    assert len(device.precision.prefers) + len(device.precision.keeps) == len(said) and len(device.weights) == len(formats)
    again = target_of(BOX % (f"{' '.join(map(written, device.weights))} precision {{ {' '.join(told(device)[: len(said)])} }}", ""))
    assert told(again.device("npu")) == told(device) and not differences(one, again)
    laid_out = target_of(format_text(text))
    assert laid_out.digest == one.digest
    result = analyse_text(text, "box.hw")
    assert result.resolved is not None and target_of(show_text(result.resolved)).digest == one.digest
    target_json(one)


@given(st.permutations(["prefer a8w8 Conv;", "prefer a16w8;", "prefer a8w8;"]))
def test_the_order_of_lines_is_part_of_what_a_target_means(said: Sequence[str]) -> None:
    first, other = read(f"precision {{ {' '.join(said)} }}"), read("precision { prefer a8w8 Conv; prefer a16w8; prefer a8w8; }")
    same = list(said) == ["prefer a8w8 Conv;", "prefer a16w8;", "prefer a8w8;"]
    assert (first.digest == other.digest) is same is not bool(differences(first, other))


# --- what they mean


def floats(shape: tuple[int, ...], const: bool = False) -> TensorView:
    return TensorView("t", "fp32", shape, const)


def view(operator: str, /, **inputs: TensorView) -> OperatorView:
    return OperatorView("n", "", operator, 17, {}, inputs, {"Y": floats((1, 8, 4, 4))})


CONV = view("Conv", X=floats((1, 3, 4, 4)), W=floats((8, 3, 3, 3), True), B=floats((8,), True))
MATMUL = view("MatMul", A=floats((1, 8)), B=floats((8, 8), True))
SOFTMAX = view("Softmax", input=floats((1, 8)))
RELU = view("Relu", X=floats((1, 8)))


def names(device: Device, one: OperatorView) -> list[str]:
    return [form.name for form in forms_on(device, one)]


def test_conditions_on_scales_choose_how_weights_are_scaled() -> None:
    device = read().device("npu")
    conv, product = ({form.name: form for form in forms_on(device, one)} for one in (CONV, MATMUL))
    assert (conv["a8w8"].per_channel, conv["a8w8"].symmetric) == (True, False)
    assert (product["a8w8"].per_channel, product["a8w8"].symmetric, product["a8w8"].activations) == (False, True, "int8")
    assert names(device, MATMUL) == ["fp16", "a8w8"], "no zero point of uint16 in the middle is 0"


def test_the_example_of_the_issue() -> None:
    device = npu("prefer int8 where loss <= 0.1 %; keep fp16 Softmax, Relu;")
    assert names(device, CONV) == ["a8w8", "fp16", "a16w8"]
    assert choices_on(device, CONV)[0].most_loss == pytest.approx(0.001)
    assert names(device, RELU) == ["fp16"], "`keep` is stronger, though it comes later"


def test_a_line_of_the_target_follows_those_of_its_devices() -> None:
    target = read("precision { prefer a16w8 Conv; }", "precision { prefer a8w8; prefer fp16 on cpu; keep fp32 Softmax on npu; }")
    device, host = target.device("npu"), target.device("cpu")
    assert [line.form for line in device.precision.prefers] == ["a16w8", "a8w8"]
    assert [line.form for line in host.precision.prefers] == ["a8w8", "fp16"]
    assert names(device, CONV) == ["a16w8", "a8w8", "fp16"] and names(device, SOFTMAX) == []


def test_a_kept_form_of_integers_leaves_floats_to_others() -> None:
    device = npu("keep a8w8 Conv; keep fp16 MatMul where rank(A) == 3;")
    answer = supports(device, CONV, read().precision)
    assert isinstance(answer, No) and str(answer) == "`Conv` is kept in a8w8 on npu, and these operands are floats, box.hw:13"
    assert isinstance(supports(device, MATMUL, read().precision), Yes)


def test_upper_layers_come_first() -> None:
    table = "table t { supports fp16 { Exp; } precision { prefer fp16; } weights int8; }\n"
    text = "hw 1;\n" + table + (BOX % ("inherit t; precision { prefer a8w8; } weights int4;", "")).removeprefix("hw 1;\n")
    child = "target mine extends box { device npu { precision { prefer a16w8; } weights uint4; } }\n"
    amended = "amend &mine.npu.precision { prefer w4; }\n"
    device = target_of(text + child + amended).device("npu")
    assert [line.form for line in device.precision.prefers] == ["w4", "a16w8", "a8w8", "fp16"]
    assert [line.dtype for line in device.weights] == ["uint4", "int4", "int8"]


PREFERRED, KEPT, STORED = "prefer a8w8 Conv, Relu where opset >= 17;", "keep fp16 Softmax, Relu;", "weights int4 block 32 MatMul, Gemm;"


@pytest.mark.parametrize(
    ("edit", "left"),
    [
        ("precision", [STORED]),
        ("precision.keep", [PREFERRED, STORED]),
        ("precision.keep Relu", [PREFERRED, "keep fp16 Softmax;", STORED]),
        ("precision.prefer Conv", ["prefer a8w8 Relu where opset >= 17;", KEPT, STORED]),
        ("precision.prefer a8w8", [KEPT, STORED]),
        ("weights Gemm", [PREFERRED, KEPT, "weights int4 block 32 MatMul;"]),
        ("weights int4", [PREFERRED, KEPT]),
    ],
)
def test_lines_are_deleted_by_form_and_by_operator(edit: str, left: list[str]) -> None:
    text = BOX % (f"precision {{ {PREFERRED} {KEPT} }} {STORED}", "")
    assert told(target_of(f"{text} delete &box.npu.{edit};").device("npu")) == left


def test_what_is_not_there_cannot_be_deleted() -> None:
    said = "precision { keep fp16 Softmax; }"
    found = analyse_text(BOX % (said, "") + "delete &box.npu.precision.keep Relu;", "box.hw").diagnostics
    assert [(one.code, one.message) for one in found] == [("HW0206", "`keep` has no `Relu` to delete")]


def test_limits_on_accuracy() -> None:
    target = read("", "limits { accuracy top1 drop <= 1 %; accuracy cosine >= 0.99; }")
    found = {limit.subject: (limit.comparison, limit.value, limit.text) for limit in target.limits}
    assert found == {"top1 drop": ("<=", 0.01, "1 %"), "cosine": (">=", 0.99, "0.99")}
    child = analyse_text(
        BOX % ("", "limits { accuracy top1 drop <= 1 %; }") + "amend &box { limits { accuracy top1 drop <= 2 %; } }", "box.hw"
    )
    assert child.target is not None and [limit.value for limit in child.target.limits] == [0.02]


# --- in an editor

INSIDE = "hw 1; target t { device npu : x { precision { "


def labels(text: str) -> list[str]:
    return [item.label for item in complete(text.replace("|", ""), text.index("|"))]


def test_completion() -> None:
    assert labels(INSIDE + "|") == ["prefer", "keep"]
    assert labels("hw 1; target t { precision { |") == ["default", "compute", "prefer", "keep"]
    assert labels(INSIDE + "prefer |") == [*FORMS, *OTHER_FORM_NAMES]
    assert labels(INSIDE + "keep a8|") == ["a8w8"]
    assert {"Conv", "Softmax", "on"} <= set(labels(INSIDE + "keep fp16 |"))
    assert "loss" in labels(INSIDE + "prefer a8w8 where |") and "loss" not in labels(INSIDE + "keep a8w8 Conv where |")
    assert {"block", "symmetric", "for", "int4", "MatMul"} <= set(labels("hw 1; target t { device npu : x { weights |"))
    assert "top1 drop" in labels("hw 1; target t { limits { accuracy |")


def test_hover() -> None:
    text = INSIDE + "prefer int8 Conv where loss <= 0.1 %; } } }"
    at = {word: hover(text, text.index(word) + 1) for word in ("prefer", "int8", "Conv")}
    assert at["int8"] is not None and "a8w8" in at["int8"][0] and "8-bit integers" in at["int8"][0]
    assert at["prefer"] is not None and "prefer a8w8" in at["prefer"][0]
    assert at["Conv"] is not None and "**Conv**" in at["Conv"][0]
