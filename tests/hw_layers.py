"""Random layers of a target: what a child, an `amend` or a `delete` may say about the target `box`."""

from __future__ import annotations

from hypothesis import strategies as st

BOX = """hw 1;
target box {
  name "Box"; onnx opset 13..21;
  memory dram { size 6 GiB; budget 2 GiB @guess; bandwidth 50 GB/s @src("a page"); page 4 KiB; shared npu, gpu, cpu; }
  device npu : tpu {
    runtime none; peak fp16 10 TOPS @guess; peak int8 20 TOPS; dispatch 100 us; launch 1 us @guess; max rank 5; max dim H 16384;
    power active 2 W, idle 0.1 W;
    supports fp16 { Conv where const(W) and rank(X) in 3..4; Relu, Tanh, Mul, Add, Sub, MatMul; }
    supports int64 { Gather; }
    deny { Tanh where rank(input) == 5; }
    kernel { Conv -> Relu | Tanh; Mul -> Add?; }
    rewrite HardSwish -> decompose where native(Clip);
  }
  device gpu : metal {
    peak fp32 1 TFLOPS @guess; peak fp16 2 TFLOPS; dispatch 50 us; launch 5 us;
    supports fp16, fp32 { inherit npu; Sin; } supports int64 { Slice; }
    weights int4 block 32 MatMul; precision { prefer fp16 where loss <= 1 %; keep fp32 MatMul, Add; }
  }
  device cpu : arm { runtime ort; peak fp32 100 GFLOPS; dispatch 5 us; launch 1 us; supports all; }
  link npu <-> cpu { via shared; zero_copy where dtype in { fp16, int8 } else copy 20 GB/s @guess; row 64 B; handoff 30 us; }
  link gpu <-> cpu { zero_copy; handoff 10 us; }
  precision { default fp16; keep fp32 Softmax on cpu; }
  limits { latency <= 12 ms; memory peak <= 250 MiB; partitions npu <= 4; }
}
"""
OPERATORS = st.sampled_from(("Exp", "Log", "Cos", "Erf", "com.microsoft::Gelu"))
WHERE = st.sampled_from(("", " where rank(input) <= 4", " where rank(input) == 2 or opset >= 17"))
NUMBERS = st.integers(1, 99)
PROVENANCE = st.sampled_from(("", " @guess", ' @src("there")', ' @proxy("a // b")'))
RATED = st.sampled_from(("Conv", "MatMul, Gemm", "com.microsoft::FusedMatMul"))
MEASURED = st.lists(
    st.one_of(
        st.tuples(RATED, NUMBERS, NUMBERS, PROVENANCE).map(lambda r: f"rate {r[0]} {r[1]} GFLOPS seen ..{r[2]} MOP n {r[2] + 5}{r[3]};"),
        NUMBERS.map(lambda n: f"rate Conv {n} GFLOPS seen 0.1..{n} GOP within {n} % where attr.group > {n};"),
        NUMBERS.map(lambda n: f"block Conv channels {n + 1};"),
        NUMBERS.map("launch {} us;".format),
        NUMBERS.map(lambda n: f"weights {n} GB/s beyond {n} MiB;"),
        NUMBERS.map(lambda n: f"holdout {n} % within 15 %, interval {n} %;"),
        NUMBERS.map(lambda n: f"memory base -{n} MiB, weights {n} %, working {n} %;"),
        NUMBERS.map(lambda n: f"power full {n} W, exponent 0.{n};"),
    ),
    max_size=5,
).map(lambda lines: " ".join(_unique(lines)))
FORMS = st.sampled_from(("fp32", "fp16", "a16w8", "a8w8", "int8", "w8", "w4"))
ABOUT = st.sampled_from(("", " Conv", " Conv, MatMul", " MatMul where rank(A) == 2", " com.microsoft::Gelu, Add"))
LINES = st.lists(
    st.one_of(
        st.tuples(FORMS, ABOUT).map(lambda p: f"prefer {p[0]}{p[1]};"),
        st.tuples(FORMS, NUMBERS).map(lambda p: f"prefer {p[0]} where loss <= {p[1] / 10:g} % and opset >= 13;"),
        st.tuples(FORMS, ABOUT.filter(bool), PROVENANCE).map(lambda p: f"keep {p[0]}{p[1] if 'where' in p[1] else p[1] + p[2]};"),
    ),
    max_size=3,
).map(" ".join)
STORED = st.tuples(
    st.sampled_from(("int8", "uint8", "int4", "uint4")), st.sampled_from(("", " block 32", " block 64 symmetric", " symmetric")),
    st.sampled_from(("", " for uint16")), st.sampled_from(("", " MatMul", " Conv, Gemm")), st.sampled_from(("", " where opset >= 17")),
).map(lambda parts: f"weights {''.join(parts)};")  # fmt: skip
ON_DEVICE = st.one_of(
    LINES.map("precision {{ {} }}".format),
    STORED,
    st.tuples(st.sampled_from(("", ' @measured("a bench")', ' @src("a page")')), MEASURED).map(lambda c: f"calibration{c[0]} {{ {c[1]} }}"),
    st.tuples(NUMBERS, PROVENANCE).map(lambda n: f"dispatch {n[0]} us{n[1]};"),
    st.tuples(NUMBERS, PROVENANCE).map(lambda n: f"peak fp16 {n[0]} TOPS{n[1]};"),
    st.tuples(NUMBERS, PROVENANCE).map(lambda n: f"power active {n[0]} W{n[1]}, idle 0.1 W;"),
    st.tuples(OPERATORS, WHERE).map(lambda o: f"supports fp16 {{ {o[0]}{o[1] if '::' not in o[0] else ''}; }}"),
    OPERATORS.map("deny {{ {}; }}".format),
    OPERATORS.map("deny {};".format),
    st.tuples(st.sampled_from(("Mish", "Swish")), st.sampled_from((" where native(Exp)", " where native(Log)"))).map(
        lambda r: f"rewrite {r[0]} -> decompose{r[1]};"
    ),
    NUMBERS.map(lambda n: f"max dim W {n};"),
    st.just("kernel { Add -> Relu?; }"),
)


def _unique(statements: list[str]) -> list[str]:
    """At most one of each property that may stand once."""
    kept = {
        s if s.startswith(("supports", "deny", "rewrite", "kernel", "rate", "block", "weights int", "weights uint")) else s.split(" ")[0]: s
        for s in statements
    }
    return list(kept.values())


BODIES = st.tuples(
    st.lists(ON_DEVICE, max_size=4).map(_unique),
    st.lists(NUMBERS.map("handoff {} us;".format), max_size=1),
    st.lists(st.sampled_from(("latency <= 5 ms;", "error abs <= 1e-2;", "accuracy top1 drop <= 1 %;")), max_size=1),
    st.lists(st.tuples(NUMBERS, PROVENANCE).map(lambda n: f"bandwidth {n[0] + 20} GB/s{n[1]};"), max_size=1),
).map(
    lambda parts: (
        f"device npu {{ {' '.join(parts[0])} }} link npu <-> cpu {{ {' '.join(parts[1])} }}"
        f" limits {{ {' '.join(parts[2])} }} memory dram {{ {' '.join(parts[3])} }}"
    )
)
"""The body of a layer."""
DELETES = st.sampled_from(
    (
        "", "delete &box.npu.supports Relu, Conv;", "delete &box.gpu.supports Sin;", "delete &box.limits.latency;",
        "delete &box.npu.kernel;", "delete &box.npu.rewrite HardSwish;", "delete &box.npu.peak.int8;", "delete &box.npu.max.dim;",
        "delete &box.gpu.precision.keep Add;", "delete &box.gpu.precision.prefer;", "delete &box.gpu.weights int4;",
        "delete &box.npu.calibration;", "delete &box.npu.calibration.rate Conv;", "delete &box.npu.calibration.memory;",
    )
)  # fmt: skip
