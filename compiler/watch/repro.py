"""A folder that reproduces one wrong application of a rule: the site before and after, its inputs, and how to see the difference."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..bundle.publish import publish
from ..errors import UserError, first_line
from ..run.array_files import write_arrays
from ..verify.compare import difference
from ..verify.reference import Reference
from .cut_site import SiteCut, cut_site

if TYPE_CHECKING:
    import onnx

BEFORE, AFTER, INPUTS, SCRIPT, README = "before.onnx", "after.onnx", "inputs.npz", "compare.py", "README.md"
COMPARE = '''"""Runs both models on the inputs; exit code 1 where they differ by more than rounding."""

import sys
from pathlib import Path

import numpy
import onnxruntime

HERE = Path(__file__).parent
options = onnxruntime.SessionOptions()
options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL


def run(name):
    session = onnxruntime.InferenceSession(str(HERE / name), options, providers=["CPUExecutionProvider"])
    values = numpy.load(HERE / "inputs.npz")
    return [o.name for o in session.get_outputs()], session.run(None, {i.name: values[i.name] for i in session.get_inputs()})


names, before = run("before.onnx")
_, after = run("after.onnx")
wrong = False
for name, expected, got in zip(names, before, after):
    if expected.shape != got.shape or expected.dtype != got.dtype:
        print(f"{name}: {expected.dtype}{list(expected.shape)} became {got.dtype}{list(got.shape)}")
        wrong = True
    elif expected.size:
        gap = numpy.nan_to_num(numpy.abs(expected.astype(float) - got.astype(float)), nan=numpy.inf, posinf=numpy.inf)
        top = float(numpy.abs(expected.astype(float)).max())
        print(f"{name}: largest difference {gap.max():.4g}, largest value {top:.4g}")
        wrong |= bool(gap.max() > ALLOWED + 1e-4 * top)
sys.exit(wrong)
'''


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What the README reports."""

    pass_name: str
    rule: str
    site: str
    fault: str
    target: str
    allowed: float
    """What the rule's contract allows the site to be off by."""


def save_repro(folder: Path, before: onnx.ModelProto, after: onnx.ModelProto, feeds: Mapping[str, Any], story: Story) -> str:
    """Writes `folder` (a repro of ours there is replaced); returns what running the two small models showed.

    `feeds` are inputs of the whole model. Raises UserError where nothing can be written."""
    site = cut_site(before, after)
    values = _site_values(before, site, feeds)
    for model in (site.before, site.after):
        _type(model, values)
    seen = _compare(site, values)
    with publish(folder, _is_repro) as place:
        (place / BEFORE).write_bytes(site.before.SerializeToString(deterministic=True))
        (place / AFTER).write_bytes(site.after.SerializeToString(deterministic=True))
        write_arrays(place / INPUTS, values)
        (place / SCRIPT).write_text(COMPARE.replace("ALLOWED", repr(story.allowed)), encoding="utf-8")
        (place / README).write_text(_readme(folder, story, site, seen), encoding="utf-8")
    return seen


def _is_repro(folder: Path) -> bool:
    return all((folder / name).is_file() for name in (BEFORE, SCRIPT, INPUTS))


def _site_values(before: onnx.ModelProto, site: SiteCut, feeds: Mapping[str, Any]) -> dict[str, Any]:
    """The site's inputs as they are when the whole model runs."""
    inner = [name for name in site.inputs if name not in feeds]
    if not inner:
        return {name: feeds[name] for name in site.inputs}
    found = Reference(Path(), before, inner).run(feeds)
    return {name: feeds[name] if name in feeds else found[name] for name in site.inputs if name in feeds or name in found}


def _type(model: onnx.ModelProto, values: Mapping[str, Any]) -> None:
    """The inputs' types as seen: a rule may ask for shapes that inference did not find."""
    from onnx import helper

    for value in model.graph.input:
        if hasattr(values.get(value.name), "dtype") and values[value.name].dtype.kind in "fiub":
            array = values[value.name]
            kind = helper.np_dtype_to_tensor_dtype(array.dtype)
            value.CopyFrom(helper.make_tensor_value_info(value.name, kind, array.shape))


def _compare(site: SiteCut, values: Mapping[str, Any]) -> str:
    try:
        expected = Reference(Path(), site.before).run({v.name: values[v.name] for v in site.before.graph.input})
        got = Reference(Path(), site.after).run({v.name: values[v.name] for v in site.after.graph.input})
    except (UserError, KeyError) as problem:
        return f"the site cannot be run alone: {first_line(problem)}"
    found = [difference(name, [(value, got[name])]) for name, value in expected.items()]
    return "; ".join(f"{d.name} is off by {d.max_abs:.3g}{f', {d.mismatch}' if d.mismatched else ''}" for d in found)


def _readme(folder: Path, story: Story, site: SiteCut, seen: str) -> str:
    words = ["autoglmc", str(folder / BEFORE), "--target", story.target, "--verify-each", "--inputs", str(folder / INPUTS), "--emulate"]
    kinds = [", ".join(node.op_type for node in model.graph.node) for model in (site.before, site.after)]
    return "\n".join(
        [
            f"# `{story.rule}` at {story.site} (pass {story.pass_name})",
            "",
            f"- in the whole model: {story.fault}",
            f"- here: {seen}",
            f"- {BEFORE}: {kinds[0]}; {AFTER}: {kinds[1]}; {INPUTS}: what they read in the whole model",
            f"- see it: `python {shlex.quote(os.fspath(folder / SCRIPT))}` (exit code 1 while the two differ)",
            f"- compile it: `{shlex.join(words)}`",
            "",
        ]
    )
