"""A target around rules, for tests of `rule` blocks."""

from __future__ import annotations

HEAD = """hw 1;
target box {
  name "Box";
  onnx opset 13..21;
  memory dram { size 6 GiB; budget 2 GiB; bandwidth 50 GB/s; page 4 KiB; shared cpu; }
  device cpu : arm { runtime ort; peak fp32 100 GFLOPS; dispatch 5 us; launch 1 us; supports all; }
}
"""
MY_GELU = """rule my_gelu(x) {
  match Gelu(x);
  let   a = Relu(x) + Relu(-1 * x);
  emit  Relu(x) - 0.5 * a * (1 - Tanh(a * (0.800157086 + 0.0347008905 * a * a)));
  error abs 2.8e-4 over real;
}
"""


def with_rules(*rules: str) -> str:
    return HEAD + "\n".join(rules)
