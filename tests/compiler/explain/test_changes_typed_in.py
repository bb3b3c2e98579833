"""A change that `why` prints, typed into the target's text where it says, brings what it promised: the device takes the operators, and the
plan is as fast as was said. The hand that types knows the text only, not how the change was found."""

from __future__ import annotations

import random
import re
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.compiler.errors import TargetError
from autoglmc.compiler.explain.explain_model import Why, explain_model
from autoglmc.compiler.hw.load_target import load_target
from autoglmc.passes.place.candidates import Implementation

LINES = (
    "MatMul", "MatMul where rank(A) == 3", "MatMul where dim(A, -1) <= 16", "Relu", "Relu where rank(X) == 4 and all_dims(X) <= 16",
    "Add where rank(A) in 3..4", "Add", "Sigmoid, Tanh", "Erf where rank(input) == 4 or dim(input, -1) == 4",
    "Softmax where attr.axis == 1",
    "Conv where dim(W, -1) <= 1", "Conv where not const(W)", "Transpose where item(attr.perm, 0) == 0", "Mul",
)  # fmt: skip
DENIALS = ("Relu where rank(X) == 2", "MatMul where dim(A, -1) > 16", "Add, Mul where rank(A) > 2", "Erf where rank(input) == 2")


def target(dice: random.Random) -> str:
    """One statement a line, as people write them, so that a line names one thing."""
    shapes = dice.choice(("", "    max rank 2;\n", "    max dim W 16, C 4;\n"))
    possible = [line for line in LINES if "rank 2" not in shapes or "rank(" not in line]  # else the line could never hold: HW0505
    listed = "\n".join(f"      {line};" for line in dice.sample(possible, dice.randint(2, 6)))
    denied = "\n".join(f"      {line};" for line in dice.sample(DENIALS, dice.randint(1, 3)))
    deny = f"    deny {{\n{denied}\n    }}\n" if dice.random() < 0.5 else ""
    dtype = dice.choice(("fp32", "fp32", "fp16"))
    return f"""hw 1;
target phone {{
  onnx opset {dice.choice(("13..21", "13..19"))};
  memory dram {{ size 8 GiB; bandwidth 50 GB/s; shared npu, cpu; }}
  device npu : x {{
    runtime none; peak fp32 1 TFLOPS; peak fp16 2 TFLOPS; dispatch 1 us; launch 1 us;
{shapes}    supports {dtype} {{
{listed}
    }}
{deny}  }}
  device cpu : y {{
    runtime ort; peak fp32 1 GFLOPS; dispatch 1 us; launch 1 us;
    supports all;
  }}
  link npu <-> cpu {{ via shared; zero_copy; handoff 1 us; }}
}}
"""


def model(dice: random.Random, folder: Path) -> Path:
    rng = np.random.default_rng(dice.randrange(1 << 30))
    shape, width = dice.choice(((64, 32), (1, 8, 32), (1, 4, 8, 32))), 32
    weights, nodes, last = [], [], "x"
    kinds = ["MatMul", "Relu", "Add", "Sigmoid", "Tanh", "Erf", "Softmax", "Mul", "Gelu", *(["Conv"] if len(shape) == 4 else [])]
    for k in range(dice.randint(3, 8)):
        kind, reads, attributes = dice.choice(kinds), [last], {}
        if kind in ("MatMul", "Conv"):
            size = (width, width) if kind == "MatMul" else (4, 4, 1, 3)
            weights.append(numpy_helper.from_array(rng.standard_normal(size).astype(np.float32) / 6, f"w{k}"))
            reads.append(f"w{k}")
            attributes = {"pads": [0, 1, 0, 1]} if kind == "Conv" else {}
        elif kind in ("Add", "Mul"):
            reads.append("x")
        nodes.append(helper.make_node(kind, reads, [f"t{k}"], name=f"n{k}", **attributes))
        last = f"t{k}"
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("x", last)]
    made = helper.make_model(
        helper.make_graph(nodes, "g", values[:1], values[1:], weights), opset_imports=[helper.make_opsetid("", 20)], ir_version=10
    )
    path = folder / "model.onnx"
    onnx.save(made, path)
    return path


def typed(text: str, change: str, where: str, device: str = "npu") -> str:
    """The text with a printed change in it."""
    lines = text.splitlines()
    places = [int(number) - 1 for number in re.findall(r"phone\.hw:(\d+)", where)]
    for delete, statement in re.findall(r"(delete )?`([^`]*)`", change):
        if delete:
            name = re.match(r"deny ([\w:]+)", statement)[1]  # type: ignore[index]
            place = next(k for k in places if re.search(rf"\b{name}\b", lines[k]))
            lines[place] = _without(lines[place], name)
        elif statement.startswith("precision"):
            lines.insert(len(lines) - 1, statement)
        elif statement.startswith("onnx"):
            lines = [statement if line.strip().startswith("onnx") else line for line in lines]
        elif statement.startswith(("rewrite", "supports")):
            place = next(k for k, line in enumerate(lines) if f"device {device}" in line)
            lines[place] += f" {statement}"
        elif statement.startswith("max"):
            head, value = re.match(r"(max rank|max dim \w) (\d+);", statement).groups()  # type: ignore[union-attr]
            letter = head.split()[-1]
            lines = [re.sub(rf"(\b{letter} )\d+", rf"\g<1>{value}", line) if line.strip().startswith("max") else line for line in lines]
        else:
            name = re.match(r"[\w:]+", statement)[0]  # type: ignore[index]
            place = next(k for k in places if re.search(rf"\b{name}\b", lines[k]))
            lines[place] = f"{_without(lines[place], name)} {statement}"
    return "\n".join(lines) + "\n"


def _without(line: str, name: str) -> str:
    """The line without an operator that it lists; the others keep their condition."""
    names, _, condition = line.strip().rstrip(";").partition(" where ")
    kept = [other for other in re.split(r", *", names) if other != name]
    return f"{', '.join(kept)}{' where ' + condition if condition else ''};" if kept else ""


def told(folder: Path, path: Path, text: str) -> Why:
    (folder / "phone.hw").write_text(text)
    return explain_model(path, load_target(folder / "phone.hw"), device="npu", tries=20)


@pytest.mark.parametrize("block", range(5))
def test_a_printed_change_typed_in_brings_what_it_promised(block: int, tmp_path: Path) -> None:
    assert sum(promises_kept(seed, tmp_path) for seed in range(5 * block, 5 * block + 5)) >= 3


def promises_kept(seed: int, folder: Path) -> int:
    """How many changes were typed in; asserts that each of them keeps its promise."""
    dice, kept = random.Random(seed), 0
    path, text = model(dice, folder), target(dice)
    before = told(folder, path, text)
    for row in before.rows:
        tried = row.tried
        if tried is None or tried.refusal or "`" not in tried.change.text:
            continue
        new = typed(text, tried.change.text, tried.change.where)
        after = told(folder, path, new).plan
        assert after.work.target.digest != before.plan.work.target.digest, new
        wanted = {before.plan.nodes[k].writes[0] for k in row.group.numbers}
        taken = {node.writes[0]: answers[0] for node, answers in zip(after.nodes, after.answers, strict=True)}
        refused = {name: str(answer) for name in wanted if not isinstance(answer := taken[name], Implementation)}
        assert not refused, f"{tried.change.text} at {tried.change.where}\n{new}"
        if tried.planned:
            assert after.total == pytest.approx(tried.after, rel=1e-3), f"{tried.change.text}\n{new}"
        kept += 1
    return kept


HELP = re.compile(r"(npu|cpu) takes (?:it|them) with (.*) \(((?:phone\.hw:\d+(?:, )?)+)\), if its hardware and runtime do")


@pytest.mark.parametrize("block", range(3))
def test_what_a_refusal_says_to_add_lets_the_model_be_compiled(block: int, tmp_path: Path) -> None:
    """A host that does not run everything: the refusal names a table and its lines, which are typed in until no operator is refused."""
    followed = 0
    for seed in range(100 + 5 * block, 105 + 5 * block):
        dice = random.Random(seed)
        path, text = model(dice, tmp_path), target(dice)
        listed = "; ".join(dice.sample(("MatMul", "Relu", "Add", "Mul where rank(A) == 5", "Erf where rank(input) == 2"), 3))
        text = text.replace("    supports all;", f"    supports fp32 {{\n      {listed.replace('; ', ';' + chr(10) + '      ')};\n    }}")
        for _ in range(3):
            (tmp_path / "phone.hw").write_text(text)
            try:
                compile_model(path, tmp_path / "phone.hw", output=tmp_path / "out", verify=False)
                break
            except TargetError as problem:
                assert problem.message.startswith("no device of the target runs"), problem
                found = HELP.fullmatch(problem.help)
                assert found is not None, problem
                text = typed(text, found[2], found[3], found[1])
                followed += 1
        else:
            pytest.fail(f"still refused:\n{text}")
    assert followed >= 3
