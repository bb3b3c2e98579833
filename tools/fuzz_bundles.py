"""Edited bundles: one is refused with a message that names a field or file, or gives the answer that it gave before.

    python tools/fuzz_bundles.py --runs 2000 --seed 1

Run number n is made from the seed and n alone, so `--only N` repeats one. Each edits a copy of a bundle of a small real model: its manifest
(values typed and untyped, records doubled, dropped, exchanged with others of their kind), or a file (bytes flipped, cut, exchanged with
another). It is then loaded and run in a process with limits on time and memory. A file whose hash was written anew, too, is another
bundle, which only a signature can tell: such a one is run with --trust alone, where it must be refused, as every edit must.
With the runtimes of .venv-devices installed there are bundles with files compiled ahead of time.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import filecmp
import hashlib
import json
import os
import random
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
MODELS = ROOT / "tests" / "models"
DEVICES = ROOT / "tests" / "devices" / "three_devices.hw"
SECONDS, MEMORY = 20, 2 << 30
"""Processor time and resident bytes of one run; a run of an unedited bundle takes a hundredth."""
BRANCHES = """g (float[2,8] x, float[2,8] z, string[2] t) => (float[2,8] y, float[2,8] w, string[2] u) {
    a = Relu(x) b = Sigmoid(z) c = MatMul(a, m) d = MatMul(b, m) e = Exp(c) f = Tanh(d) y = Add(e, f) w = Sub(e, f) u = Identity(t) }"""
CHAIN = "g (float[8,8] x) => (float[8,8] y, float[8,8] w) { a = Exp(x) y = MatMul(a, m) b = Softmax(y) w = Tanh(b) }"
"""An output that takes the bytes of the input, on a CPU alone."""
RANGES = """g (float[1,64] x, float[1,64] z) => (float[1,64] y, float[1,64] w) { a = Concat <axis = 0> (z, x) b = Softmax(a)
    c = Mul(b, a) y, w = Split <axis = 0, num_outputs = 2> (c) }"""
"""Tensors inside of others, on both sides of a CPU alone."""
ROUNDING = ("optimisation", "optimizers_off", "adapter", "options")
"""What of a segment's runtime decides how results are rounded (docs/trust.md)."""
NAMED = re.compile(
    r"manifest|segments\[|segments/|schedule\b|arena\b|handoffs\[|handoff of|model\.|model:|files\[|verification\.|has no slot|"
    r"the output '|segment \d+ \(|\d\d-\w+\.\w+|tool\.|not an autoglmc bundle|has format \S+, written by"
)
"""A message names a field of the manifest, a file, a segment or a value."""
OTHER = "an edit with its hash"

Edit = Callable[[Path, random.Random], str]


@dataclass(frozen=True, slots=True)
class Original:
    """A bundle, what it is run on, and what it answers."""

    folder: Path
    inputs: Path
    answer: dict[str, Any]
    key: Path | None
    """The public key that it is signed for; None where signatures cannot be made here."""


@dataclass(slots=True)
class Outcome:
    runs: int = 0
    refused: int = 0
    equal: int = 0
    untrusted: int = 0
    """Edits that were refused for their signature."""
    slowest: float = 0.0
    largest: int = 0
    broken: list[str] = field(default_factory=list)
    messages: Counter[str] = field(default_factory=Counter)


def originals(folder: Path) -> list[Original]:
    """Compiled into the folder: on the CPU, on emulated devices, and where their runtimes are here, with compiled files."""
    import numpy as np
    import onnx

    from autoglmc.compiler.devices.find_adapter import absence

    for name, text in (("branches", BRANCHES), ("chain", CHAIN), ("ranges", RANGES)):
        small = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["": 18]> {text}')
        small.graph.initializer.append(onnx.numpy_helper.from_array(np.random.default_rng(0).random((8, 8), np.float32), "m"))
        onnx.save(small, folder / f"{name}.onnx")
    jobs: list[tuple[Path, str | Path, dict[str, Any]]] = [
        (MODELS / "lightnet.onnx", "tensor_g2", {"batch": 1}),
        (MODELS / "bert_tiny.onnx", "x86_cpu", {"batch": 1, "seq": 8}),
        (folder / "branches.onnx", "snapdragon_8gen3", {}),
        (folder / "branches.onnx", "a16", {}),
        (folder / "chain.onnx", "x86_cpu", {}),
        (folder / "ranges.onnx", "x86_cpu", {}),
    ]
    if absence("qnn", ("htp", "soc", "57", "arch", "75")) is None and absence("iree", ("vulkan",)) is None:
        jobs += [(MODELS / "lightnet.onnx", DEVICES, {"batch": 1}), (folder / "branches.onnx", DEVICES, {})]
    keys = _keys(folder)
    return [_original(folder / f"{k}", keys, *job) for k, job in enumerate(jobs)]


def _keys(folder: Path) -> tuple[Path, Path] | None:
    """A private and a public key; None without the package."""
    try:
        from cryptography.hazmat.primitives import serialization as pem
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    except ImportError:
        return None
    key, private, public = Ed25519PrivateKey.generate(), folder / "key.pem", folder / "key.pub.pem"
    private.write_bytes(key.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(pem.Encoding.PEM, pem.PublicFormat.SubjectPublicKeyInfo))
    return private, public


def _original(place: Path, keys: tuple[Path, Path] | None, model: Path, target: str | Path, shapes: dict[str, Any]) -> Original:
    import numpy as np

    from autoglmc.compiler.driver.compile_model import compile_model

    def work() -> int:
        compile_model(model, target, shapes=shapes, output=place, emulate=True, verify=False, sign=keys and keys[0])
        return 0

    result = in_child(work, place.with_suffix(".log"), 300)
    assert result.code == 0, (model, target, result)
    inputs = place.with_suffix(".npz")
    dice = np.random.default_rng(3)
    values = json.loads((place / "manifest.json").read_text())["model"]["inputs"]
    np.savez(inputs, **{v["name"]: _array(dice, v["dtype"], v["shape"]) for v in values})
    out = place.with_suffix(".out.npz")
    ran = in_child(lambda: run(place, inputs, out), place.with_suffix(".log"))
    assert ran.code == 0, ran
    return Original(place, inputs, _answer(out), keys and keys[1])


def _array(dice: Any, dtype: str, shape: list[int]) -> Any:
    import numpy as np

    if dtype == "string":
        return np.array(["a", "b"][: shape[0]])
    return (
        dice.random(shape, np.float32) if dtype == "fp32" else dice.integers(0, 2, shape).astype({"int64": "int64", "bool": "bool"}[dtype])
    )


def run(bundle: Path, inputs: Path, out: Path, *more: str) -> int:
    from autoglmc.compiler import cli

    return cli.run(["run", str(bundle), "--input", str(inputs), "-o", str(out), "--emulate", "--quiet", *more])


def _answer(out: Path) -> dict[str, Any]:
    import numpy as np

    with np.load(out, allow_pickle=False) as kept:
        return {name: kept[name] for name in kept.files}


# -- edits ---------------------------------------------------------------------------------------------------------------------------------

WORDS = ("", "x", "cpu", "npu", "fp16", "int4", "\x1b[2J", "a\x00b", "é", "n" * 100_000, "../../etc/passwd", "/dev/zero", "segments/..",
         "ort", "qnn", "arch 73;x", "zero_copy", "copy", "run", "0" * 64)  # fmt: skip
NUMBERS = (0, 1, -1, 2, 3, 63, 64, 4096, 1 << 31, 1 << 40, (1 << 63) - 1, 1 << 63, 10**30, 0.5, -0.0, 1e308)
RAW = (
    lambda t: t.replace(": 0,", ": NaN,", 1), lambda t: t.replace(": 1,", ": Infinity,", 1), lambda t: t.replace(': "', ': "\\ud800 ', 1),
    lambda t: t[:-40], lambda t: "\ufeff" + t, lambda t: "[" * 100_000 + t, lambda t: t.replace('"arena": {', '"arena": {}, "arena": {', 1),
    lambda t: t.replace('"decisions": [', '"decisions": [' + '{"a": [' * 5000, 1), lambda t: t + t, lambda t: "",
    lambda t: t.replace('"page": ', '"page": ' + "9" * 6000, 1), lambda t: t.replace('"files": {', '"colour": 1, "files": {', 1),
)  # fmt: skip


def edits_manifest(folder: Path, dice: random.Random) -> str:
    path = folder / "manifest.json"
    text = path.read_text(encoding="utf-8")
    if dice.random() < 0.05:
        k = dice.randrange(len(RAW))
        _write(path, RAW[k](text).encode("utf-8"))
        return f"raw edit {k}"
    data = json.loads(text)
    if dice.random() < 0.05:
        one, other = dice.sample(sorted({a[b] for a, b in _places(data["arena"]) if isinstance(a[b], str)} | {"x"}), 2)
        swapped = {one: other, other: one}
        text = re.sub(r': "([^"]*)"', lambda found: f': "{swapped.get(found[1], found[1])}"', text)
        _write(path, text.encode())
        return f"the names {one} and {other} exchanged everywhere"
    done = [_edit(data, dice) for _ in range(dice.choice((1, 1, 1, 2, 3)))]
    _write(path, json.dumps(data, sort_keys=True, indent=2).encode())
    return "; ".join(done)


def _edit(data: Any, dice: random.Random) -> str:
    """One change at one place; the parts of a manifest are equally likely, whatever their size."""
    top = dice.choice(sorted(data)) if dice.random() < 0.5 else dice.choice(("arena", "segments", "schedule", "handoffs", "model", "files"))
    places = [(data, top), *_places(data.get(top))]
    inner, key = dice.choice(places)
    value, where = inner.get(key) if isinstance(inner, dict) else inner[key], f"{top} … {key}"
    match dice.randrange(9):
        case 0:
            del inner[key]
            return f"delete {where}"
        case 1 if isinstance(inner, list):
            inner.insert(key, copy.deepcopy(value))
            return f"double {where}"
        case 2 if isinstance(inner, dict):
            inner["colour"] = value
            return f"a field more beside {where}"
        case 3 | 4:
            alike = [
                (a, b) for a, b in places if type(a[b]) is type(value) and (a is not inner or b != key) and (isinstance(b, int) or b == key)
            ]
            if alike:
                other, there = dice.choice(alike)
                inner[key], other[there] = copy.deepcopy(other[there]), copy.deepcopy(value)
                return f"exchange {where} {value!r:.40} and {inner[key]!r:.40}"
    inner[key] = _other(value, dice, places)
    return f"{where}: {value!r:.40} -> {inner[key]!r:.40}"


def _other(value: Any, dice: random.Random, places: list[tuple[Any, Any]]) -> Any:
    if dice.random() < 0.1:
        return dice.choice((None, [], {}, True, "x", 1, -1.5, [1] * 30_000))
    if isinstance(value, bool) or value is None:
        return not value
    if isinstance(value, (int, float)):
        return dice.choice((value + 1, value - 1, value * 2, -value, dice.choice(NUMBERS), dice.randrange(8)))
    if isinstance(value, str):
        alike = [a[b] for a, b in places if isinstance(a[b], str)]
        return dice.choice((dice.choice(WORDS), dice.choice(alike) if alike else "", value + "x", value[::-1]))
    if isinstance(value, list):
        return dice.choice((value[::-1], value[1:], value * 2, []))
    return {}


def _places(data: Any) -> Iterator[tuple[Any, Any]]:
    """(container, key) of every value below."""
    for key, value in list(data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()):
        yield data, key
        yield from _places(value)


def edits_file(folder: Path, dice: random.Random) -> str:
    files = sorted(path for path in (folder / "segments").rglob("*") if path.is_file())
    path, other = dice.choice(files), dice.choice(files)
    name, data = path.relative_to(folder).as_posix(), path.read_bytes()
    kind = dice.randrange(8)
    if kind == 0 and other != path:
        _write(path, other.read_bytes())
        _write(other, data)
        return f"exchange {name} and {other.name}"
    if kind == 1:
        path.unlink()
        dice.choice((lambda: None, path.mkdir, lambda: path.symlink_to("/dev/zero"), lambda: os.mkfifo(path)))()
        return f"{name} is gone, a folder, a link or a pipe"
    _write(path, _bytes(data, dice))
    return f"bytes of {name}"


def edits_file_and_hash(folder: Path, dice: random.Random) -> str:
    """The hashes are written anew: hashes alone cannot tell."""
    done = edits_file(folder, dice)
    data = json.loads((folder / "manifest.json").read_text())
    for name, record in data["files"].items():
        if (folder / name).is_file() and not (folder / name).is_symlink():
            content = (folder / name).read_bytes()
            record |= {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
    _write(folder / "manifest.json", json.dumps(data, sort_keys=True, indent=2).encode())
    return f"{OTHER}: {done}"


def _bytes(data: bytes, dice: random.Random) -> bytes:
    at = dice.randrange(len(data)) if data else 0
    match dice.randrange(4):
        case 0:
            return data[:at]
        case 1:
            return data + dice.randbytes(dice.choice((1, 4096)))
        case 2:
            return b""
    made = bytearray(data or b"\0")
    for _ in range(dice.choice((1, 1, 8))):
        made[dice.randrange(len(made))] ^= 1 << dice.randrange(8)
    return bytes(made)


def _write(path: Path, data: bytes) -> None:
    """A new file: the old one is a hard link of the original's."""
    path.unlink(missing_ok=True)
    path.write_bytes(data)


EDITS: tuple[Edit, ...] = (edits_manifest,) * 7 + (edits_file,) * 2 + (edits_file_and_hash,)


# -- runs ----------------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ran:
    code: int
    """Exit code; negative for a signal."""
    seconds: float
    memory: int
    said: str


def in_child(work: Callable[[], int], log: Path, seconds: int = SECONDS) -> Ran:
    """In a fork of this process, which has everything imported, with limits."""
    start = time.monotonic()
    child = os.fork()
    if child == 0:
        _in_this_child(work, log, seconds)
    deadline = start + 10 * seconds
    while not (ended := os.wait4(child, os.WNOHANG))[0]:
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.005)
    return Ran(
        os.waitstatus_to_exitcode(ended[1]),
        ended[2].ru_utime + ended[2].ru_stime,
        ended[2].ru_maxrss << 10,
        log.read_text("utf-8", "replace"),
    )


def _in_this_child(work: Callable[[], int], log: Path, seconds: int) -> None:
    code = 99
    try:
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, 1)
        os.dup2(file, 2)
        sys.stdout, sys.stderr = (open(number, "w", closefd=False) for number in (1, 2))
        code = work()
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def judged(ran: Ran, out: Path, answer: dict[str, Any], what: str) -> str:
    """What is wrong about a run of an edited bundle; "" for nothing."""
    errors = [line for line in ran.said.splitlines() if line.startswith("error: ")]
    if ran.code not in (0, 1, 2):
        return f"ended with {ran.code}: {ran.said[-300:]}"
    if ran.memory > MEMORY:
        return f"took {ran.memory >> 20} MiB"
    if ran.code:
        if len(errors) != 1 or "Traceback" in ran.said or len(ran.said) > 4000 or not NAMED.search(errors[0]):
            return f"no message that names a field or file: {ran.said[:600]!r}"
        return "a file is left" if out.exists() else ""
    return "" if _same(_answer(out), answer, any(word in what for word in ROUNDING)) else "another answer"


def _same(got: dict[str, Any], wanted: dict[str, Any], rounded: bool) -> bool:
    import numpy as np

    if got.keys() != wanted.keys():
        return False
    pairs = [(got[name], wanted[name]) for name in wanted]
    if any((a.dtype, a.shape) != (b.dtype, b.shape) for a, b in pairs):
        return False
    return all(a.tobytes() == b.tobytes() or (rounded and a.dtype.kind == "f" and np.allclose(a, b, 1e-2, 1e-3)) for a, b in pairs)


def fuzz(
    runs: int, seed: int = 1, first: int = 0, limit: float = float("inf"), folder: Path | None = None, progress: bool = False
) -> Outcome:
    """Runs first … first + runs - 1 of a seed, as many as fit into `limit` seconds. `folder`: keeps edited bundles that break a promise."""
    import numpy  # noqa: F401
    import onnxruntime  # noqa: F401

    outcome, begin = Outcome(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as place, _own_temporary_folder(Path(place) / "tmp"):
        given = originals(Path(place))
        told = 0
        for number in range(first, first + runs):
            if time.monotonic() - begin > limit:
                break
            _one(number, seed, given, Path(place), outcome, folder)
            if progress and (number - first) % 100 == 99:
                print(*outcome.broken[told:], sep="\n", end="\n" * (len(outcome.broken) > told))
                told = len(outcome.broken)
                print(f"{outcome.runs:,} runs, {len(outcome.broken)} broken promises, slowest {outcome.slowest:.1f} s", flush=True)
    return outcome


@contextlib.contextmanager
def _own_temporary_folder(folder: Path) -> Iterator[None]:
    """What is left in there, one of our runs left."""
    folder.mkdir()
    before, os.environ["TMPDIR"] = os.environ.get("TMPDIR"), str(folder)
    tempfile.tempdir = None
    try:
        yield
    finally:
        os.environ.pop("TMPDIR")
        os.environ |= {} if before is None else {"TMPDIR": before}
        tempfile.tempdir = None


def _one(number: int, seed: int, given: list[Original], place: Path, outcome: Outcome, keep: Path | None) -> None:
    dice = random.Random(f"{seed} {number}")
    original, edit = dice.choice(given), dice.choice(EDITS)
    bundle, out = place / "edited", place / "y.npz"
    shutil.rmtree(bundle, ignore_errors=True)
    out.unlink(missing_ok=True)
    shutil.copytree(original.folder, bundle, copy_function=os.link)
    what = edit(bundle, dice)
    before, temporary = _listing(bundle), _listing(Path(tempfile.gettempdir()), deep=False)
    outcome.runs += 1
    if original.key is not None and not filecmp.cmp(original.folder / "manifest.json", bundle / "manifest.json", shallow=False):
        ran = in_child(lambda: run(bundle, original.inputs, out, "--trust", str(original.key)), place / "log")
        outcome.untrusted += ran.code == 1
        if ran.code != 1 or "is not the signature" not in ran.said:
            outcome.broken.append(f"run {number} ({original.folder.name}): {what}: trusted: {ran.code} {ran.said[:300]!r}")
    if not what.startswith(OTHER):
        ran = in_child(lambda: run(bundle, original.inputs, out), place / "log")
        problem = judged(ran, out, original.answer, what)
        outcome.slowest, outcome.largest = max(outcome.slowest, ran.seconds), max(outcome.largest, ran.memory)
        outcome.refused += ran.code in (1, 2)
        outcome.equal += ran.code == 0
        if ran.code:
            outcome.messages[re.sub(r"'[^']*'|\d+", "…", ran.said.splitlines()[0] if ran.said else "")[:100]] += 1
        if not problem and (_listing(bundle) != before or _listing(Path(tempfile.gettempdir()), deep=False) - temporary):
            problem = "something is left behind"
        if problem:
            outcome.broken.append(f"run {number} ({original.folder.name}): {what}: {problem}")
            if keep is not None:
                shutil.copytree(bundle, keep / f"{number}", symlinks=True, dirs_exist_ok=True)


def _listing(folder: Path, deep: bool = True) -> set[str]:
    return {str(path) for path in (folder.rglob("*") if deep else folder.iterdir())}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--time", type=float, default=float("inf"), metavar="SECONDS", help="stop after that")
    parser.add_argument("--first", type=int, default=0, metavar="N", help="begin with run N, so that a run can be made in parts")
    parser.add_argument("--only", type=int, metavar="N", help="run N alone")
    parser.add_argument("--keep", type=Path, help="where bundles that break a promise go")
    given = parser.parse_args()
    runs, first = (given.runs, given.first) if given.only is None else (1, given.only)
    outcome = fuzz(runs, given.seed, first, given.time, given.keep, progress=True)
    print(f"runs {outcome.runs:,}: refused {outcome.refused:,}, equal {outcome.equal:,}, not trusted {outcome.untrusted:,}")
    print(f"slowest {outcome.slowest:.2f} s, largest {outcome.largest >> 20} MiB, {len(outcome.messages)} kinds of message")
    for line in outcome.broken:
        print(line)
    return 1 if outcome.broken else 0


if __name__ == "__main__":
    sys.exit(main())
