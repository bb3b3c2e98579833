"""Mutated ONNX models: whatever a model holds, each command ends in bounded time and memory, with a message that names a place.

    python tools/fuzz_models.py --count 5000

Run number n is made from the seed and n alone, so `--only N` repeats one: one of 40 small models, one structural mutation, one target, one
command. What breaks a promise is kept in the folder of --keep.
"""

from __future__ import annotations

import argparse
import collections
import importlib
import os
import random
import re
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
from limited_trial import Limits, Trial, run_limited
from model_mutations import files, nodes, places, pool, values

TARGETS = ("a16", "ethos_u55_256", "ethos_u85_512", "snapdragon_8gen2", "snapdragon_8gen3", "tensor_g2", "workstation", "x86_cpu")
COMMANDS = (
    "compile --no-verify", "compile --no-verify", "compile", "compile --emulate", "compile --json --no-verify", "check", "why", "run",
    "verify",
)  # fmt: skip
FIELDS = (
    "ir_version", "IR version", "opset_import", "Opset import", "opset", "graph", "functions", "function", "external_data", "raw_data",
    "float_data",
    "int32_data", "int64_data", "double_data", "uint64_data", "string_data", "dims", "data_type", "elem_type", "attribute",
    "metadata_props", "UTF-8", "protobuf", "type", "value_info", "name", "output", "input", "initializer", "doc_string", "--shape",
    "--inputs", "location", "segment", "limit", "memory", "package",
)  # fmt: skip
"""Words of a file that a message may name instead of a node or a tensor; "error: not an ONNX file" names the file itself."""
IMPORTED = (
    "autoglmc.compiler.cli", "autoglmc.compiler.driver.compile_model", "autoglmc.compiler.load.load_model", "autoglmc.passes.library",
    "autoglmc.compiler.api.check", "onnxruntime", "onnxsim", "ortools.sat.python.cp_model",
)  # fmt: skip
"""What every command imports: once, before the runs are forked."""
CODES = (0, 1, 2, 4)
FOREIGN = re.compile(
    r"Traceback|\b(?:Key|Index|Type|Attribute|Value|Runtime|Assertion|Recursion|Unicode\w*|Decode|Overflow)Error\b|Errno|\[E:onnxruntime|"
    r"\[W:onnxruntime|libprotobuf|core dumped|<class '"
)
"""What a message of ours does not hold: the words of an exception that nobody caught on purpose, or what a library printed itself."""


@dataclass(slots=True)
class Outcome:
    runs: int = 0
    codes: collections.Counter[str] = field(default_factory=collections.Counter)
    messages: collections.Counter[str] = field(default_factory=collections.Counter)
    """First lines of the messages, numbers and quoted names left out."""
    unnamed: int = 0
    slowest: tuple[float, int] = (0.0, 0)
    largest: tuple[int, int] = (0, 0)
    broken: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Case:
    number: int
    model: str
    mutation: str
    target: str
    command: str
    data: bytes
    options: tuple[str, ...]


def case(number: int, seed: int, models: list[pool.Model]) -> Case:
    """Run `number` of a seed."""
    dice = random.Random(f"{seed} {number}")
    chosen = dice.choices(models, [4 if len(model.data) > 10_000 else 1 for model in models])[0]
    target, command = dice.choice(TARGETS), dice.choice(COMMANDS)
    while True:
        mutate = dice.choice((*nodes.MUTATIONS, *values.MUTATIONS, *files.MUTATIONS, *files.BYTES))
        name = f"{mutate.__module__.rpartition('.')[2]}.{mutate.__name__}"
        try:
            if mutate in files.BYTES:
                data = mutate(chosen.data, dice)  # type: ignore[arg-type]
            else:
                model = onnx.ModelProto.FromString(chosen.data)
                mutate(model, dice)  # type: ignore[arg-type]
                data = model.SerializeToString()
        except places.NotHere:
            continue
        return Case(number, chosen.name, name, target, command, data, chosen.options)


def carry_out(made: Case, folder: Path, limits: Limits) -> list[Trial]:
    """The command, after the compilation that it needs; in a folder of its own."""
    (folder / "model.onnx").write_bytes(made.data)
    (folder / "weights.bin").write_bytes(bytes(range(64)))
    (folder / "self.bin").symlink_to("self.bin")
    first, *rest = made.command.split()
    compiling = ["compile", "model.onnx", "--target", made.target, *made.options, "-o", "bundle.out"]
    if first == "compile":
        return [run_limited([*compiling, *rest], folder, limits)]
    if first == "check":
        return [run_limited(["check", "model.onnx"], folder, limits)]
    if first == "why":
        return [run_limited(["why", "model.onnx", "--target", made.target, *made.options], folder, limits)]
    trials = [run_limited([*compiling, "--no-verify"], folder, limits)]
    if trials[0].code == 4:
        given = ["bundle.out", "--input", _inputs(made, folder)] if first == "run" else ["model.onnx", "bundle.out"]
        trials.append(run_limited([first, *given, "--emulate"], folder, limits))
    return trials


def _inputs(made: Case, folder: Path) -> str:
    """An .npz file with ones for every input, as far as its type and sizes say which."""
    model = onnx.ModelProto.FromString(made.data)
    sizes = dict(text.split("=") for text in made.options if "=" in text)
    arrays = {}
    for entry in model.graph.input:
        kind = entry.type.tensor_type
        shape = [max(dim.dim_value, 1) if not dim.dim_param else int(sizes.get(dim.dim_param, "1")) for dim in kind.shape.dim]
        if (
            kind.elem_type in onnx.helper.get_all_tensor_dtypes()
            and np.prod(shape, dtype=float) < 1e7
            and re.fullmatch(r"[\w.]+", entry.name)
        ):
            arrays[entry.name] = np.ones(shape, onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type))
    np.savez(folder / "inputs.npz", **arrays)
    return "inputs.npz"


def broken_promises(trial: Trial, data: bytes) -> list[str]:
    """What a command did that none may."""
    found = [f"left behind: {', '.join(trial.left)}"] if trial.left else []
    if trial.killed:
        found.append(f"over the limit of {trial.killed} ({trial.seconds:.0f} s, {trial.megabytes} MB)")
    elif trial.code not in CODES:
        found.append(f"exit code {trial.code}: {(trial.errors + trial.output)[-600:]}")
    text = trial.errors + trial.output if trial.code else trial.errors
    said = FOREIGN.search(text)
    if said and trial.code != 3:
        found.append(f"foreign words {said[0]!r}: {text[max(said.start() - 80, 0) : said.end() + 200]}")
    if trial.code in (1, 2) and not names_a_place(trial.errors + trial.output, data):
        found.append(f"no place is named: {text[-300:]}")
    return found


def names_a_place(message: str, data: bytes) -> bool:
    """Whether the message holds a node, a tensor or an operator of the model, or a field of the file."""
    error = message[max(message.find("error:"), 0) :]
    if re.search(r"not an ONNX (?:model|file)|the file is truncated|cannot be read", error):
        return True
    if any(re.search(rf"(?<![\w-]){re.escape(word)}", error) for word in FIELDS):
        return True
    try:
        model = onnx.ModelProto.FromString(data)
    except Exception:
        return "model.onnx" in error
    known = set[str]()
    for graph in (*places.graphs(model.graph), *model.functions):
        for node in graph.node:
            known |= {node.name, node.op_type, *node.input, *node.output}
        if isinstance(graph, onnx.GraphProto):
            known |= {value.name for value in (*graph.input, *graph.output, *graph.value_info)} | {t.name for t in graph.initializer}
    shown = (name[:30] for name in known if name)
    return any(re.search(rf"(?<!\w){re.escape(name)}", error) or repr(name)[1:-1] in error for name in shown)


def fuzz(count: int, seed: int = 1, first: int = 0, keep: Path | None = None, progress: bool = False) -> Outcome:
    """Carries out runs first … first + count - 1 of a seed."""
    models, outcome, start = pool.models(), Outcome(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fuzz-models-") as home:
        os.environ["XDG_CACHE_HOME"] = home
        os.environ["ORT_DISABLE_TELEMETRY"] = "1"
        for module in IMPORTED:
            importlib.import_module(module)
        for number in range(first, first + count):
            made = case(number, seed, models)
            _one(made, outcome, keep)
            done = number - first + 1
            if progress and done % 100 == 0:
                left = (time.monotonic() - start) / done * (count - done)
                print(f"{done:,} runs, {len(outcome.broken)} broken promises, {left / 60:.0f} min left", flush=True)
    return outcome


def _one(made: Case, outcome: Outcome, keep: Path | None) -> None:
    with tempfile.TemporaryDirectory(prefix="fuzz-model-") as name:
        trials = carry_out(made, Path(name), Limits())
    for trial in trials:
        outcome.codes[f"{trial.arguments[0]}: {trial.code}"] += 1
        outcome.slowest = max(outcome.slowest, (trial.seconds, made.number))
        outcome.largest = max(outcome.largest, (trial.megabytes, made.number))
        if trial.code in (1, 2):
            line = next((text for text in trial.errors.splitlines() if text.startswith("error:")), "")
            outcome.messages[re.sub(r"'[^']*'|\"[^\"]*\"|[\w./:\[\]-]*\d[\w./:\[\]-]*", "_", line)[:100]] += 1
        found = broken_promises(trial, made.data)
        outcome.unnamed += any(text.startswith("no place") for text in found)
        for text in found:
            outcome.broken.append(f"run {made.number} ({made.model}, {made.mutation}, {made.target}, {' '.join(trial.arguments)}): {text}")
        if found and keep is not None:
            keep.mkdir(parents=True, exist_ok=True)
            (keep / f"{made.number}.onnx").write_bytes(made.data)
            (keep / f"{made.number}.txt").write_text("\n".join([" ".join(trial.arguments), *found, trial.errors]))
    outcome.runs += 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, metavar="N", help="begin with run N, so that a run can be made in parts")
    parser.add_argument("--only", type=int, metavar="N", help="carry out run N alone, and keep its model whatever comes of it")
    parser.add_argument("--keep", type=Path, default=Path("fuzz"), help="where models that break a promise go")
    parser.add_argument("--messages", action="store_true", help="print the messages too, most frequent first")
    given = parser.parse_args()
    count, first = (given.count, given.first) if given.only is None else (1, given.only)
    outcome = fuzz(count, given.seed, first, given.keep, progress=True)
    if given.only is not None:
        made = case(first, given.seed, pool.models())
        given.keep.mkdir(parents=True, exist_ok=True)
        (given.keep / f"{first}.onnx").write_bytes(made.data)
        print(f"{made.model}, {made.mutation}, {made.target}, {made.command}, {' '.join(made.options)}: {given.keep / f'{first}.onnx'}")
    for line in outcome.broken:
        print(line)
    if given.messages:
        for text, many in outcome.messages.most_common():
            print(f"{many:6d}  {text}")
    print(", ".join(f"{name} {many}" for name, many in sorted(outcome.codes.items())))
    (slowest, slow), (largest, large) = outcome.slowest, outcome.largest
    print(f"runs {outcome.runs:,}, broken promises {len(outcome.broken)}, messages without a place {outcome.unnamed}")
    print(f"slowest {slowest:.1f} s (run {slow}), largest {largest} MB (run {large})")
    return 1 if outcome.broken else 0


if __name__ == "__main__":
    sys.exit(main())
