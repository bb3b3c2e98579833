"""A pass of your own: Relu(Relu(x)) is Relu(x). Here from Python; on the command line:

autoglmc model.onnx --target a16 --pass examples/user_pass.py:drop_relus
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import onnx
import onnx_graphsurgeon as gs

import autoglmc

MODEL = "g (float[4,8] x) => (float[4,8] y) { a = Neg(x) b = Relu(a) c = Relu(b) y = Tanh(c) }"


def drop_relus(graph: gs.Graph) -> None:
    for node in graph.nodes:
        before = node.inputs[0].inputs  # the node that writes what this one reads
        if node.op == "Relu" and before and before[0].op == "Relu":
            node.inputs[0] = before[0].inputs[0]
    graph.cleanup()


drop_relus.contract = "exact"  # type: ignore[attr-defined]  # or "reassociates", or "bounded=1e-3": checked when it runs


def main() -> None:
    model = onnx.parser.parse_model(f'<ir_version: 9, opset_import: ["": 18]> {MODEL}')
    with tempfile.TemporaryDirectory() as folder:
        bundle = autoglmc.compile(model, "x86_cpu", output=Path(folder) / "bundle", passes=[drop_relus])
        print(*(decision.reason for decision in bundle.manifest.decisions if "drop_relus" in decision.rule))


if __name__ == "__main__":
    main()
