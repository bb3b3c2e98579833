"""`autoglmc export` to .tflite beside onnx2tf: who is right, how many operators and transposes, who leaves the model's file alone.

    python benchmarks/export_peers.py --onnx2tf VENV/bin/onnx2tf [--keep FOLDER] [NAME…]

Needs the extra `litert`, and onnx2tf 2.6.9 in an environment of its own (Python 3.12: `pip install onnx2tf==2.6.9`), which is given copies,
with sizes bound. Both files run on LiteRT's interpreter. They are judged by the model as it was given, evaluated in float64
(compiler/reference, which shares nothing with passes and emitters), on SETS of inputs: the largest difference, as a share of the output's
largest number, and its standard deviation. Beside them stand onnxruntime, which rounds as they do, and the model's own rounding: the
same evaluation, each result rounded to float32 at random, NOISE times. What only moves elements is counted with transposes (onnx2tf
shuffles channels by GATHER). A file of the peer's whose inputs or outputs have another layout is fed and read in that layout.

Ends with 1 where a file of ours is off by more than FAR, and by more than such rounding and onnxruntime are; where its deviation is more
than DEVIATION and the peer's is not; or where it has more than MORE transposes beyond the peer's.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import math
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

FAR, DEVIATION, MORE, SETS, NOISE, SECONDS = 1e-5, 2.5e-6, 2, 2, 3, 600
NETWORKS = ("efficientnet_b0_224", "mobilenet_v3_224", "yolov5_320", "vit_tiny_224")
TRANSPOSE, GATHER = 39, 36
"""Of the enumeration BuiltinOperator."""


@dataclass(frozen=True)
class Subject:
    """A model with the sizes it is converted for."""

    name: str
    path: Path
    shapes: Mapping[str, int | tuple[int, ...]]


@dataclass(frozen=True)
class Made:
    """What a converter made of a model; `why` where that cannot be compared."""

    operators: int = 0
    transposes: int = 0
    largest: float = float("nan")
    deviation: float = float("nan")
    why: str = ""


def subjects(names: Sequence[str]) -> list[Subject]:
    from models import NAMES, SHAPES, model_path
    from networks.index import networks

    found = [Subject(name, model_path(name), SHAPES[name]) for name in NAMES if not names or name in names]
    others = [one for one in networks() if one.name in (names or NETWORKS) and one.name not in NAMES]
    return found + [Subject(one.name, one.path(), {}) for one in others]


def sizes(subject: Subject) -> dict[str, tuple[int, ...]]:
    """Of every input, from `shapes` by the input's name or its dims' names."""
    import onnx

    graph = onnx.load(subject.path, load_external_data=False).graph
    known = {one.name for one in graph.initializer}
    found: dict[str, tuple[int, ...]] = {}
    for value in (one for one in graph.input if one.name not in known):
        dims = value.type.tensor_type.shape.dim
        whole = subject.shapes.get(value.name)
        named = {dim: size for dim, size in subject.shapes.items() if isinstance(size, int)}
        found[value.name] = whole if isinstance(whole, tuple) else tuple(d.dim_value or named[d.dim_param] for d in dims)
    return found


def feeds(subject: Subject, shapes: Mapping[str, tuple[int, ...]], seed: int) -> dict[str, Any]:
    """Normal numbers, bytes, and 0 or 1 where integers are wider, which token ids and masks may be."""
    import onnx

    draw = np.random.default_rng(seed)
    made = {}
    for value in (one for one in onnx.load(subject.path, load_external_data=False).graph.input if one.name in shapes):
        dtype = onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
        size, end = shapes[value.name], 2 if dtype == np.int64 else 256
        made[value.name] = (draw.standard_normal(size) if np.issubdtype(dtype, np.floating) else draw.integers(0, end, size)).astype(dtype)
    return made


@dataclass(frozen=True)
class Truth:
    """Of one set of inputs, in the order of the model's outputs: in float64; and what float32 makes of them, by onnxruntime (as it
    optimises the model), and by rounding at random."""

    exact: Sequence[Any]
    runtime: Sequence[Any]
    rounded: Sequence[Sequence[Any]]


Sets = Sequence[tuple[Mapping[str, Any], Truth]]


def truths(subject: Subject, feeds: Sequence[Mapping[str, Any]]) -> list[Truth]:
    from autoglmc.compiler.reference.messages import Question
    from autoglmc.compiler.reference.oracle import Oracle

    found = []
    with Oracle(subject.path) as oracle:
        for fed in feeds:
            answer = oracle.ask(Question(inputs=fed, optimised=True, noise=NOISE))
            if answer.exact is None or answer.optimised is None:
                raise SystemExit(f"{subject.name}: {answer.exact_problem or answer.own_problem}")
            each = [[values[name] for name in oracle.opened.outputs] for values in (answer.exact, answer.optimised, *answer.noise)]
            found.append(Truth(each[0], each[1], each[2:]))
    return found


def apart(pairs: Iterable[tuple[Any, Any]]) -> tuple[float, float]:
    """The largest difference and the largest deviation over pairs of what was got and what is right, as shares of the largest number."""
    largest = deviation = 0.0
    for got, right in pairs:
        scale = float(np.abs(right).max(initial=0)) or 1.0
        off = np.abs(got.astype(np.float64) - right.astype(np.float64)) / scale
        largest, deviation = max(largest, float(off.max(initial=0))), max(deviation, float(off.std()) if off.size else 0.0)
    return largest, deviation


def of_float32(truths: Sequence[Truth]) -> tuple[Made, Made]:
    """How far off onnxruntime is, and rounding at random."""
    own = apart(pair for one in truths for pair in zip(one.runtime, one.exact, strict=True))
    noise = apart(pair for one in truths for each in one.rounded for pair in zip(each, one.exact, strict=True))
    return Made(largest=own[0], deviation=own[1]), Made(largest=noise[0], deviation=noise[1])


def counted(path: Path) -> tuple[int, int]:
    """Operators of all subgraphs; transposes, and gathers that take every element once."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(path.read_bytes(), 0))
    kinds: Counter[int] = Counter()
    codes = [max(one.builtinCode, one.deprecatedBuiltinCode) for one in model.operatorCodes]
    for graph in model.subgraphs:
        for one in graph.operators:
            kind = codes[one.opcodeIndex]
            moves = kind == GATHER and len({math.prod(graph.tensors[k].shape) for k in (one.inputs[0], one.outputs[0])}) == 1
            kinds[TRANSPOSE if moves else kind] += 1
    return sum(kinds.values()), kinds[TRANSPOSE]


def judged(path: Path, sets: Sets) -> Made:
    from ai_edge_litert.interpreter import Interpreter

    operators, transposes = counted(path)
    interpreter = Interpreter(str(path))
    try:
        interpreter.allocate_tensors()
        return _compared(interpreter, sets, operators, transposes)
    except (RuntimeError, ValueError) as problem:
        return Made(operators, transposes, why=f"LiteRT: {problem}")


def _compared(interpreter: Any, sets: Sets, operators: int, transposes: int) -> Made:
    every: list[tuple[Any, Any]] = []
    for fed, truth in sets:
        if (why := _feed(interpreter, fed)) != "":
            return Made(operators, transposes, why=why)
        interpreter.invoke()
        got = [interpreter.get_tensor(one["index"]) for one in interpreter.get_output_details()]
        pairs = _matched(got, truth.exact)
        if pairs is None:
            return Made(operators, transposes, why=f"outputs {[one.shape for one in got]}, not {[np.shape(one) for one in truth.exact]}")
        every += pairs
    return Made(operators, transposes, *apart(every))


def _feed(interpreter: Any, fed: Mapping[str, Any]) -> str:
    """Each input by its name, or by its position; in the order of axes that the file has."""
    for number, detail in enumerate(interpreter.get_input_details()):
        plain = str(detail["name"]).removeprefix("serving_default_").removesuffix(":0")
        value = fed.get(plain, list(fed.values())[number])
        turned = next((one for one in _turns(value) if one.shape == tuple(detail["shape"])), None)
        if turned is None:
            return f"input {plain} has the shape {tuple(map(int, detail['shape']))}, not {value.shape}"
        interpreter.set_tensor(detail["index"], np.array(turned, detail["dtype"], order="C"))
    return ""


def _turns(value: Any) -> list[Any]:
    """As it is, and with channels last."""
    return [value] if value.ndim < 3 else [value, np.moveaxis(value, 1, -1)]


def _matched(got: Sequence[Any], wanted: Sequence[Any]) -> list[tuple[Any, Any]] | None:
    """In their order, or in whichever one the numbers agree best; None where shapes do not match."""
    if len(got) != len(wanted) or len(got) > 6:
        return None if len(got) != len(wanted) else list(zip(got, wanted, strict=True))
    best, least = None, float("inf")
    for order in itertools.permutations(range(len(got))):
        ordered = [_back(got[k]) for k in order]
        turned = [next((one for one in some if one.shape == w.shape), None) for some, w in zip(ordered, wanted, strict=True)]
        if any(one is None for one in turned):
            continue
        off = sum(float(np.abs(np.asarray(one, np.float64) - right).max()) for one, right in zip(turned, wanted, strict=True))
        if off < least:
            best, least = list(zip(turned, wanted, strict=True)), off
    return best


def _back(value: Any) -> list[Any]:
    return [value] if value.ndim < 3 else [value, np.moveaxis(value, -1, 1)]


def ours(subject: Subject, folder: Path, sets: Sets) -> Made:
    path = folder / "ours.tflite"
    if not path.exists():
        texts = {name: "x".join(map(str, size)) if isinstance(size, tuple) else str(size) for name, size in subject.shapes.items()}
        bound = ",".join(f"{name}={text}" for name, text in texts.items())
        program = "import sys; from autoglmc.compiler.cli import main; sys.exit(main())"
        command = [sys.executable, "-c", program, "export", str(subject.path)]
        done = _done([*command, "-o", str(path), "-q", *(["--shape", bound] if bound else [])])
        if done:
            return Made(why=done)
    return judged(path, sets)


def theirs(subject: Subject, folder: Path, sets: Sets, onnx2tf: str) -> tuple[Made, bool]:
    """And whether its input file is as it was."""
    place, copy = folder / "peer", folder / "peer" / "copy.onnx"
    kept = place / "intact"
    if not kept.exists():
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        shutil.copy(subject.path, copy)
        before = hashlib.sha256(copy.read_bytes()).digest()
        bound = [f"{name}:{','.join(map(str, size))}" for name, size in sizes(subject).items()]
        command = [onnx2tf, "-i", str(copy.resolve()), "-o", str(place.resolve()), "-tb", "flatbuffer_direct", "-n"]
        sized = ["-ois", *bound] if subject.shapes else []
        done = _done([*command, *sized], _environment(onnx2tf), place)  # it leaves files where it runs
        (place / "why").write_text(done)
        kept.write_text("yes" if hashlib.sha256(copy.read_bytes()).digest() == before else "no")
    files = sorted(place.glob("*float32.tflite"))
    if not files:
        return Made(why=(place / "why").read_text() or "wrote no file, exit code 0"), kept.read_text() == "yes"
    return judged(files[0], sets), kept.read_text() == "yes"


def _environment(onnx2tf: str) -> dict[str, str]:
    """onnx2tf finds onnxsim by the path, and ignores sizes where it finds none."""
    return {**os.environ, "PYTHONPATH": "", "PATH": f"{Path(onnx2tf).resolve().parent}:{os.environ['PATH']}"}


def _done(command: Sequence[str], environment: Mapping[str, str] | None = None, place: Path | None = None) -> str:
    """What went wrong; "" for nothing."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=SECONDS, env=environment, cwd=place)
    except subprocess.TimeoutExpired:
        return f"not done after {SECONDS} s"
    lines = [line for line in (done.stderr or done.stdout).strip().splitlines() if line.strip()]
    return "" if done.returncode == 0 else f"exit code {done.returncode}: {lines[-1][:80] if lines else ''}"


def shown(made: Made) -> str:
    off = f"{made.largest:.1e} (std {made.deviation:.1e})"
    return made.why[:60] or (f"{off}, {made.operators} ({made.transposes})" if made.operators else off)


def faults(name: str, mine: Made, peer: Made, own: Made, noise: Made) -> list[str]:
    """What is wrong about our file. own: how far off onnxruntime is; noise: how far off rounding at random is."""
    found = []
    if mine.why or not mine.largest <= max(FAR, own.largest, noise.largest):
        found.append(f"{name}: {mine.why or f'{mine.largest:.1e} off'}")
    if not peer.why and mine.deviation > DEVIATION >= peer.deviation:
        found.append(f"{name}: a deviation of {mine.deviation:.1e}, the peer has {peer.deviation:.1e}")
    if not peer.why and mine.transposes > peer.transposes + MORE:
        found.append(f"{name}: {mine.transposes} transposes, the peer has {peer.transposes}")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--onnx2tf", required=True)
    parser.add_argument("--keep", type=Path, help="a folder for the files: what is there is not made again")
    given = parser.parse_args()
    wrong = []
    print("| model | autoglmc export | onnx2tf | onnxruntime | rounding | onnx2tf's input file |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="autoglmc-") as scratch:
        for subject in subjects(given.names):
            folder = (given.keep or Path(scratch)) / subject.name
            folder.mkdir(parents=True, exist_ok=True)
            fed = [feeds(subject, sizes(subject), seed) for seed in range(SETS)]
            truth = truths(subject, fed)
            sets, (own, noise) = list(zip(fed, truth, strict=True)), of_float32(truth)
            mine, (peer, intact) = ours(subject, folder, sets), theirs(subject, folder, sets, given.onnx2tf)
            kept = "as it was" if intact else "rewritten"
            print(f"| {subject.name} | {' | '.join(map(shown, (mine, peer, own, noise)))} | {kept} |", flush=True)
            wrong += faults(subject.name, mine, peer, own, noise)
    print("\n".join(wrong) if wrong else "all of ours right, with no more transposes")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
