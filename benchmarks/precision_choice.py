"""The choice of forms on real models, without calibration: seconds it takes, and what it predicts against one form for all.

    python benchmarks/precision_choice.py [--targets x86_cpu,snapdragon_8gen3] [MODEL.onnx ...]

Ranges are made up, and so are losses (by a hash of each unit: what is measured on data changes the numbers, not the work). For each
model and target: units, processor seconds until the choice is known (stating it, solving it), predicted milliseconds of the choice, of
the placement of the model that is written from it, and of each form for all. Ends with 1 where the choice is slower than one form within
the same limit on the loss, or the placement is further than TOLERANCE from what the choice counted on.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from autoglmc.compiler.hw.load_target import load_target
from autoglmc.compiler.load.bind_shapes import parse_shapes
from autoglmc.compiler.load.load_model import load_model
from autoglmc.compiler.load.source import source_of
from autoglmc.compiler.pipeline.run_passes import run_passes
from autoglmc.compiler.pipeline.work import Work
from autoglmc.compiler.plan.plan_model import start
from autoglmc.compiler.precision.choose import COST_FORMS, name_operators, written_copies
from autoglmc.compiler.precision.plain_model import plain_model
from autoglmc.passes.graph.graph import Graph
from autoglmc.passes.place.known_plans import known_assignments
from autoglmc.passes.place.place_operators import ask, state
from autoglmc.passes.place.solve_placement import place
from autoglmc.passes.precision.choose_forms import (
    SECONDS,
    FormChoice,
    FormQuestion,
    Losses,
    OptionForms,
    choose_forms,
    form_problem,
    form_question,
)
from autoglmc.passes.precision.quantise import quantise
from autoglmc.passes.precision.scales import Range
from autoglmc.passes.precision.unit_forms import unit_forms
from autoglmc.passes.solve.problem import Problem, Unit
from autoglmc.passes.solve.solve import solve
from autoglmc.targets.model import Target
from autoglmc.targets.precision import FORMS, FormName

ROOT = Path(__file__).resolve().parent.parent
TARGETS = ("x86_cpu", "snapdragon_8gen3", "a16", "tensor_g2")
TOLERANCE = 0.1
"""Relative difference of the placement's prediction and the choice's."""
SAMPLED: Mapping[str, tuple[str, ...]] = {
    "ppocr4_rec": ("x=1x3x48x320",), "ppocr4_det": ("x=1x3x320x320",), "ppocr2_cls": ("x=1x3x48x192",), "magika_v3_3": ("bytes=1x2048",),
    "basic_pitch": ("serving_default_input_2:0=1x43844x1",), "dnsmos_p835": ("N=1",), "dnsmos_p808": ("N=1",),
    "silero_vad_v6": ("seq_len=64",), "silero_vad_16k_op15": ("batch=1", "sequence=512"), "plcmos_v2": ("batch_size=1", "frames=300"),
    "whisper_mel80": ("batch_size=1", "N=80000"), "lightnet": ("batch=1",), "bert_tiny": ("batch=1", "seq=32"),
    "glm_tiny": ("batch=1", "seq=32"),
}  # fmt: skip
"""By name of a model's file, what binds its open dims."""


@dataclass(frozen=True)
class Stated:
    """The choice of forms for one model and target, as numbers."""

    question: FormQuestion
    problem: Problem
    names: OptionForms
    ranges: Mapping[str, Range]
    stating: float
    """Seconds."""


def simplified(path: Path, target: Target) -> Work:
    """The model as calibration would get it."""
    loaded = load_model(source_of(path), parse_shapes(SAMPLED.get(path.stem, ())))
    work = start(loaded, target)
    run_passes(work, lambda _: nullcontext(), until="simplify")
    name_operators(work.graph)
    return work


def made_up_ranges(graph: Graph) -> dict[str, Range]:
    """What a Relu writes is not below zero; all else is within one."""
    made = {name: graph.producer(name) for node in graph.nodes for name in node.writes}
    inputs = dict.fromkeys(graph.inputs, Range(-1.0, 1.0))
    return inputs | {name: Range(0.0 if node is not None and node.operator == "Relu" else -1.0, 1.0) for name, node in made.items()}


def made_up_losses(question: FormQuestion) -> Losses:
    """Between 0.1 and 1 % in 8 bits, a tenth of it in 16, a hundredth in fp16; of weights alone half of 8 bits, in 4 bits thrice."""
    scale = {"a8w8": 1.0, "a16w8": 0.1, "fp16": 0.01, "w8": 0.5, "w4": 3.0}
    found = {}
    for unit in range(len(question.units)):
        name = question.asked.nodes[question.units[unit][0]].name
        share = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") / 2**32
        found |= {(unit, form): 0.01 * 10 ** (share - 1) * scale[form] for form in question.forms(unit)}
    return found


def stated(work: Work) -> Stated:
    began = time.process_time()
    ranges, rules = made_up_ranges(work.graph), (work.substitutes, work.families)
    asked = ask(Graph(plain_model(work.graph)), work.target, *rules)
    question = form_question(asked, unit_forms(asked.graph, work.target))
    used = {form for unit in range(len(question.units)) for form in question.forms(unit)}
    copies = {form: written_copies(work.graph, question, rules, form, ranges) for form in COST_FORMS if form in used}
    problem, names = form_problem(question, copies, made_up_losses(question))
    return Stated(question, problem, names, ranges, time.process_time() - began)


def in_one_form(found: Stated, most: float) -> dict[FormName, float]:
    """Predicted seconds of each form for all that can have it, the device of each unit chosen by the same solver, within the same limit."""
    seconds = {}
    for form in FORMS:
        units = tuple(_only(unit, rows, form) for unit, rows in zip(found.problem.units, found.names, strict=True))
        problem = replace(found.problem, units=units, most_error=most**2)
        plan = solve(problem, known_assignments(problem), SECONDS)
        if plan is not None:
            seconds[form] = plan.price.total
    return seconds


def _only(unit: Unit, rows: Sequence[Sequence[FormName]], form: FormName) -> Unit:
    """The unit in that form, or in floats where it has no such form anywhere."""
    wanted = form if any(form in row for row in rows) else "fp32"
    kept = [[option for option, name in zip(unit.options[d], row, strict=True) if name == wanted] for d, row in enumerate(rows)]
    return replace(unit, seconds=tuple(row[0].seconds if row else None for row in kept), options=tuple(map(tuple, kept)))


def placed(found: Stated, work: Work, choice: FormChoice) -> float:
    """Predicted seconds of the model that is written in the choice."""
    copy = Graph(plain_model(work.graph))
    quantise(copy, choice.forms, found.ranges)
    placement = place(state(ask(Graph(plain_model(copy)), work.target, work.substitutes, work.families)))
    assert placement is not None
    return placement.solution.price.total


def rows(paths: Sequence[Path], targets: Sequence[str], most: float) -> Iterator[tuple[str, bool]]:
    for path in paths:
        for name in targets:
            work = simplified(path, load_target(name))
            found = stated(work)
            began = time.process_time()
            choice = choose_forms(found.question, (found.problem, found.names), most)
            took = time.process_time() - began
            if choice is None:
                yield f"{path.stem:26} {name:18} no plan", False
                continue
            mine, alone = choice.solution.price.total, in_one_form(found, most)
            least, written = min(alone.values()), placed(found, work, choice)
            right = mine <= least * (1 + 1e-6) and abs(written - mine) <= TOLERANCE * mine
            each = " ".join(f"{form} {1e3 * seconds:.3f}" for form, seconds in alone.items())
            off = f"({written / mine - 1:+.1%})"
            shown = f"{path.stem:26} {name:18} {len(found.problem.units):5} units {found.stating:5.1f} + {took:4.1f} s  "
            yield (
                f"{shown}chosen {1e3 * mine:.3f} placed {1e3 * written:.3f} {off} | {each}{'' if right else '  WRONG'}",
                right,
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("models", nargs="*", type=Path)
    parser.add_argument("--targets", default=",".join(TARGETS))
    parser.add_argument("--loss", type=float, default=0.1, help="the most that a model may lose")
    given = parser.parse_args()
    paths = given.models or sorted([*(ROOT / "tests/models").glob("*.onnx"), *(ROOT / ".cache/models").glob("*.onnx")])
    right = True
    for text, kept in rows(paths, given.targets.split(","), given.loss):
        print(text, flush=True)
        right = right and kept
    sys.exit(0 if right else 1)


if __name__ == "__main__":
    main()
