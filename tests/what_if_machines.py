"""A target and models for tests of what-if: small, with two devices between which plans change along a sweep."""

from __future__ import annotations

from pathlib import Path

from small_models import parse, save

TARGET = """hw 1;
target board {
  onnx opset 13..21;
  memory dram { size 64 MiB; budget 32 MiB @guess; bandwidth 20 GB/s; page 4 KiB; shared npu, cpu; }
  device npu : tpu {
    runtime none; peak fp32 100 GFLOPS @guess; sustained 50 %; dispatch 30 us @proxy("a page"); launch 1 us; static_shapes yes;
    power active 2 W, idle 0.1 W @guess;
    supports fp32 { MatMul, Relu, Add; }
  }
  device cpu : arm { runtime ort; peak fp32 30 GFLOPS; dispatch 2 us; launch 1 us; power active 3 W; supports all; }
  link npu <-> cpu { zero_copy where dtype == fp32 else copy 5 GB/s @guess; handoff 5 us; }
  limits { latency <= 900 us; partitions npu <= 2; }
}
"""
CALIBRATION = """calibration @measured("onnxruntime 1.32.0, 1 thread, 41 networks, 2026-11-27") {
      version  "onnxruntime 1.32.0";
      holdout  82 % within 15 %, median 5 %, interval 18 %, models 41;
      launch   1 us;
      weights  23 GB/s beyond 24 KiB;
      block    Conv, MatMul channels 16;
      rate     MatMul, Gemm 9 GFLOPS seen 0.001..1 MOP n 31 within 22 % where dim(A, 0) == 1;
      rate     MatMul 20 GFLOPS seen 0.001..1420 MOP inner 1..4096 n 65 within 8 %;
      rate     MatMul 21 GFLOPS where dim(A, 0) == 1;
      rate     Relu, Add 1.6 GE/s seen 0.1..2400 kE n 40;
      rate     Softmax 3 GB/s seen ..43000 kB n 120;
      memory   base 1 MiB, weights 81 %, working 240 %, weights Gather 3 %, buffers Attention 300 %;
      power    full 3 W, exponent 0.83;
    }"""
MEASURED = TARGET.replace("peak fp32 30 GFLOPS;", f"peak fp32 30 GFLOPS; {CALIBRATION}")
"""The same with what was measured of its processor."""
BODY = "p = MatMul(x, a) q = Relu(p) r = Softmax(q) s = MatMul(r, b) y = Relu(s)"
SWEEP = "npu.dispatch=1us..2ms:7"


def write_target(folder: Path, text: str = TARGET, name: str = "board.hw") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def write_model(folder: Path, name: str = "model.onnx", rows: int = 64) -> Path:
    import numpy as np
    import onnx

    model = parse(f"g (float[{rows},256] x) => (float[{rows},256] y) {{ {BODY} }}")
    values = np.linspace(-1, 1, 256 * 256, dtype=np.float32).reshape(256, 256)
    model.graph.initializer.extend(onnx.numpy_helper.from_array(values, name) for name in "ab")
    return save(model, folder, name)
