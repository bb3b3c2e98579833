"""Lists what is not on the NPU and the smallest change that would place it there, as a table of a deployment review.

python examples/why_not_npu.py [MODEL.onnx TARGET]

Without arguments: a small BERT for an iPhone 14 Pro.
"""

from __future__ import annotations

import sys
from pathlib import Path

import autoglmc

BERT = Path(__file__).resolve().parent.parent / "tests" / "models" / "bert_tiny.onnx"


def main(model: Path = BERT, target: str = "a16") -> None:
    report = autoglmc.why(model, target, shapes={"batch": 1, "seq": 32} if model == BERT else None)
    print(f"not on {report.device}:")
    for group in report.groups:
        print(f"{len(group.nodes):3} {group.operator:20} {group.seconds * 1e6:7.1f} us on {group.runs_on or 'no device'}: {group.reason}")
        change = group.change
        if change is not None and not change.refusal:
            gain = "not computed" if change.gain is None else f"{change.gain * 1e6:.0f} us"
            print(f"    {change.text}  (to {change.where or 'the model'}; gain: {gain})")


if __name__ == "__main__":
    main(*(kind(argument) for kind, argument in zip((Path, str), sys.argv[1:], strict=False)))
