"""Asks the installed LiteRT which dtypes and ranks its kernels compute rightly, and prints the tables of
compiler/devices/tflite/accepted.py: `python tools/probe_litert_kernels.py`.

Each kernel is run on a model of one operator, with XNNPACK and without, in a process that may abort; the results are compared with numpy's.
"""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from autoglmc.compiler.devices.silence import silenced
from autoglmc.compiler.devices.tflite.file import write_file
from autoglmc.compiler.devices.tflite.program import Program
from autoglmc.compiler.devices.tflite.records import Operator, Tensor

DTYPES = ("float32", "int32", "int64", "bool", "int16", "int8", "uint8", "float16", "float64", "uint16", "uint32", "uint64")
RANKS = range(1, 9)
Compute = Callable[..., Any]


@dataclass(frozen=True)
class Kernel:
    """`compute` of the computed operands; `fixed` makes the constant operands (None where a computed one goes) for a rank."""

    code: str
    compute: Compute
    operands: int = 1
    fixed: Callable[[int], Sequence[Any]] = lambda rank: ()
    options: dict[str, Any] = field(default_factory=dict)
    result: str = ""
    rank: int = 0
    """The only rank it has; 0 for any."""


def last(values: Any) -> Any:
    e = np.exp(values - values.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def erf_gelu(x: Any) -> Any:
    from math import erf

    return 0.5 * x * (1 + np.vectorize(erf)(x / np.sqrt(2)))


UNARY = {
    "ABS": np.abs, "CEIL": np.ceil, "COS": np.cos, "EXP": np.exp, "FLOOR": np.floor, "LOG": np.log, "NEG": np.negative,
    "ROUND": np.round, "LOGISTIC": lambda x: 1 / (1 + np.exp(-x)), "SIGN": np.sign, "SIN": np.sin, "SQRT": np.sqrt, "TANH": np.tanh,
    "RELU": lambda x: np.maximum(x, 0), "RELU6": lambda x: np.clip(x, 0, 6), "RELU_0_TO_1": lambda x: np.clip(x, 0, 1),
    "RSQRT": lambda x: 1 / np.sqrt(x), "LOGICAL_NOT": np.logical_not, "HARD_SWISH": lambda x: x * np.clip(x + 3, 0, 6) / 6,
    "ELU": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))), "GELU": erf_gelu, "SOFTMAX": last,
    "LOG_SOFTMAX": lambda x: np.log(last(x)), "LEAKY_RELU": lambda x: np.where(x > 0, x, x * np.float32(0.25)),
}  # fmt: skip
BINARY = {
    "ADD": np.add, "SUB": np.subtract, "MUL": np.multiply, "MAXIMUM": np.maximum, "MINIMUM": np.minimum, "POW": np.power,
    "SQUARED_DIFFERENCE": lambda a, b: (a - b) * (a - b), "FLOOR_MOD": np.mod, "LOGICAL_AND": np.logical_and,
    "LOGICAL_OR": np.logical_or, "BITWISE_XOR": np.bitwise_xor, "ATAN2": np.arctan2,
    "DIV": lambda a, b: a / b if a.dtype.kind == "f" else (np.sign(a) * np.sign(b) * (np.abs(a) // np.abs(b))).astype(a.dtype),
}  # fmt: skip
COMPARISONS = {
    "EQUAL": np.equal, "NOT_EQUAL": np.not_equal, "GREATER": np.greater, "GREATER_EQUAL": np.greater_equal, "LESS": np.less,
    "LESS_EQUAL": np.less_equal,
}  # fmt: skip
REDUCED = {
    "SUM": np.sum, "MEAN": np.mean, "REDUCE_MAX": np.max, "REDUCE_MIN": np.min, "REDUCE_PROD": np.prod, "REDUCE_ANY": np.any,
    "REDUCE_ALL": np.all,
}  # fmt: skip


def kernels() -> Iterator[Kernel]:
    for code, compute in UNARY.items():
        options = {"SOFTMAX": {"beta": 1.0}, "LEAKY_RELU": {"alpha": 0.25}}.get(code, {})
        yield Kernel(code, compute, options=options)
    yield from (Kernel(code, compute, 2) for code, compute in BINARY.items())
    yield from (Kernel(code, compute, 2, result="bool") for code, compute in COMPARISONS.items())
    for code, reduce in REDUCED.items():
        yield Kernel(
            code, lambda x, f=reduce: f(x, axis=-1, keepdims=True), 1, lambda rank: (None, np.int32([rank - 1])), {"keepDims": True}
        )
    yield from moves()


def moves() -> Iterator[Kernel]:
    yield Kernel("RESHAPE", np.ravel, 1, lambda rank: (None, np.int32([-1])))
    yield Kernel("TRANSPOSE", lambda x: x.T, 1, lambda rank: (None, np.arange(rank)[::-1].astype(np.int32)))
    yield Kernel("SLICE", lambda x: x[(slice(1, None),) * x.ndim], 1, lambda r: (None, np.ones(r, np.int32), np.full(r, -1, np.int32)))
    yield Kernel("STRIDED_SLICE", lambda x: x[(slice(None, None, 2),) * x.ndim], 1, strided, {"endMask": 255})
    yield Kernel("PAD", lambda x: np.pad(x, 1), 1, lambda rank: (None, np.ones((rank, 2), np.int32)))
    yield Kernel("GATHER", lambda x: x[..., [1, 0]], 1, lambda rank: (None, np.int32([1, 0])), {"axis": -1})
    yield Kernel("GATHER_ND", lambda x: x[[1, 0]], 1, lambda rank: (None, np.int32([[1], [0]])))
    yield Kernel("TILE", lambda x: np.tile(x, (2,) * x.ndim), 1, lambda rank: (None, np.full(rank, 2, np.int32)))
    yield Kernel("CONCATENATION", lambda a, b: np.concatenate([a, b], -1), 2, options={"axis": -1})
    yield Kernel("BROADCAST_TO", lambda x: np.broadcast_to(x, (2, *x.shape)), 1, lambda r: (None, np.int32((2, *(2,) * r))))
    yield Kernel("CUMSUM", lambda x: np.cumsum(x, -1, dtype=x.dtype), 1, lambda rank: (None, np.int32(rank - 1)))
    yield Kernel("SPLIT_V", lambda x: x[..., :1], 1, lambda rank: (None, np.int32([1, 1]), np.int32(rank - 1)), {"numSplits": 2})
    yield Kernel("ARG_MAX", lambda x: x.argmax(-1), 1, lambda rank: (None, np.int32(rank - 1)), {"outputType": 4}, "int64")
    yield Kernel("ARG_MIN", lambda x: x.argmin(-1), 1, lambda rank: (None, np.int32(rank - 1)), {"outputType": 4}, "int64")
    yield Kernel("SELECT_V2", lambda a, b: np.where(np.array([True, False]), a, b), 2, lambda r: (np.array([True, False]), None, None))
    yield Kernel("PADV2", lambda x: np.pad(x, 1, constant_values=x.dtype.type(1)), 1, lambda r: (None, np.ones((r, 2), np.int32), 1))
    yield Kernel("BATCH_MATMUL", np.matmul, 2)
    yield Kernel(
        "FULLY_CONNECTED", lambda x: x @ np.ones((2, 3), x.dtype), 1, lambda r: (None, 1.0 * np.ones((3, 2))), {"keepNumDims": True}
    )
    yield Kernel("TOPK_V2", lambda x: np.sort(x, -1)[..., ::-1], 1, lambda rank: (None, np.int32(2)))
    yield Kernel("ONE_HOT", lambda x: np.eye(4, dtype=np.float32)[x], 1, one_hot, {"axis": -1}, "float32")
    yield Kernel("SPACE_TO_DEPTH", lambda x: x.reshape(*x.shape[:1], 1, 1, -1), 1, options={"blockSize": 2}, rank=4)


def strided(rank: int) -> Sequence[Any]:
    return (None, np.zeros(rank, np.int32), np.zeros(rank, np.int32), np.full(rank, 2, np.int32))


def one_hot(rank: int) -> Sequence[Any]:
    return (None, np.int32(4), np.float32(1), np.float32(0))


def values(dtype: str, shape: tuple[int, ...], seed: int) -> Any:
    rng = np.random.default_rng(seed)
    return (rng.random(shape) < 0.5) if dtype == "bool" else (rng.permutation(int(np.prod(shape))).reshape(shape) % 5 + 1).astype(dtype)


def runs(kernel: Kernel, dtype: str, rank: int, broadcast: bool) -> bool:
    """Whether both sets of kernels compute it, and rightly."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    shapes = [(2,) * rank] * kernel.operands
    if broadcast:
        shapes = [tuple(1 if k % 2 == n else 2 for k in range(rank)) for n in range(2)]
    given = [values(dtype, shape, seed) for seed, shape in enumerate(shapes)]
    with np.errstate(all="ignore"):
        want = np.asarray(kernel.compute(*given))
    want = want.astype(kernel.result or dtype)
    inputs = [Tensor(f"x{k}", shape, dtype) for k, shape in enumerate(shapes)]
    fixed, queue = list(kernel.fixed(rank)) or [None] * kernel.operands, list(inputs)
    operands = [queue.pop(0) if f is None else constant(f, dtype, k) for k, f in enumerate(fixed)]
    outputs = [Tensor("y", want.shape, want.dtype.name)]
    if kernel.code == "SPLIT_V":
        outputs.append(Tensor("z", want.shape, dtype))
    if kernel.code == "TOPK_V2":
        outputs.append(Tensor("z", want.shape, "int32"))
    program = Program([Operator(kernel.code, tuple(operands), tuple(outputs), kernel.options)])
    data = write_file(program, [(t.name, t) for t in inputs], [(t.name, t) for t in outputs[:1]], {})
    for extra in ({}, {"experimental_op_resolver_type": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES}):
        interpreter = Interpreter(model_content=data, **extra)
        interpreter.allocate_tensors()
        for tensor, value in zip(interpreter.get_input_details(), given, strict=True):
            interpreter.set_tensor(tensor["index"], value)
        interpreter.invoke()
        got = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
        if got.shape != want.shape or not np.allclose(
            got.astype(np.float64), want.astype(np.float64), 1e-3 if dtype == "float16" else 1e-5
        ):
            return False
    return True


def constant(value: Any, dtype: str, number: int) -> Tensor:
    array = np.asarray(value)
    if array.dtype in (np.float64, np.int64):  # of the operand's own dtype
        array = array.astype(dtype)
    return Tensor(f"c{number}", array.shape, array.dtype.name, array)


def questions() -> Iterator[tuple[Kernel, str, int, bool]]:
    for kernel in kernels():
        for dtype in DTYPES:
            yield kernel, dtype, kernel.rank or 2, False
        for rank in RANKS if not kernel.rank else ():
            dtype = {"BITWISE_XOR": "int32", "ONE_HOT": "int32"}.get(kernel.code, "bool" if "LOGICAL" in kernel.code else "float32")
            dtype = "bool" if kernel.code in ("REDUCE_ANY", "REDUCE_ALL") else dtype
            yield kernel, dtype, rank, False
            if kernel.code in BINARY or kernel.code in COMPARISONS:
                yield kernel, dtype, rank, True


def work(jobs: Sequence[Any], pipe: Any) -> None:
    with silenced(2):
        for number, job in jobs:
            pipe.send(number)
            try:
                pipe.send(runs(*job))
            except Exception:
                pipe.send(False)
    pipe.send(None)


def answers() -> dict[tuple[str, str, int, bool], bool]:
    """In a forked process, and after one that died another for the rest."""
    jobs, found = list(enumerate(questions())), {}
    context = multiprocessing.get_context("fork")
    while jobs:
        near, far = context.Pipe()
        worker = context.Process(target=work, args=(jobs, far))
        worker.start()
        far.close()
        number = None
        try:
            while (said := near.recv()) is not None:
                number = said
                kernel, dtype, rank, broadcast = dict(jobs)[number]
                found[kernel.code, dtype, rank, broadcast] = False
                found[kernel.code, dtype, rank, broadcast] = near.recv()
            jobs = []
        except EOFError:
            jobs = [job for job in jobs if job[0] > (number if number is not None else -1)]
        worker.join()
    return found


def main() -> int:
    found = answers()
    codes = list(dict.fromkeys(code for code, *_ in found))
    print("TAKEN = {")
    for code in codes:
        taken = [dtype for dtype in DTYPES if any(found.get((code, dtype, rank, False)) for rank in (2, 4))]
        print(f'    "{code}": "{" ".join(taken)}",')
    print("}\nMOST_RANK = {")
    for code in codes:
        for broadcast in (False, True):
            ranks = [rank for (c, dtype, rank, b), right in found.items() if c == code and b == broadcast and right]
            asked = [rank for (c, dtype, rank, b) in found if c == code and b == broadcast]
            if asked and max(ranks, default=0) < max(asked):
                print(f'    ("{code}", {broadcast}): {max(ranks, default=0)}, # {sorted(set(ranks))}')
    print("}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
