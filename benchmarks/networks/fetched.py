"""Networks that somebody trained or published: those of fetch_models.py, at the sizes they are used with."""

from __future__ import annotations

from functools import partial

import fetch_models

from .network import Network


def fetched() -> tuple[Network, ...]:
    return (
        _fetched("bert_tiny", "bert", "batch=1", "seq=32"),
        _fetched("bert_tiny", "bert", "batch=1", "seq=128", name="bert_tiny_128"),
        _fetched("glm_tiny", "glm", "batch=1", "seq=32"),
        _fetched("lightnet", "lightnet", "batch=1"),
        _fetched("ppocr2_cls", "ppocr", "x=1x3x48x192"),
        _fetched("ppocr4_det", "ppocr", "x=1x3x320x320"),
        _fetched("ppocr4_det", "ppocr", "x=1x3x640x640", name="ppocr4_det_640"),
        _fetched("ppocr4_rec", "ppocr", "x=1x3x48x320"),
        _fetched("magika_v3_3", "magika", "bytes=1x2048"),
        _fetched("silero_vad_16k_op15", "silero", "batch=1", "sequence=512"),
        _fetched("silero_vad_v6", "silero", "seq_len=64"),
        _fetched("basic_pitch", "pitch", "serving_default_input_2:0=1x43844x1"),
        _fetched("dnsmos_p808", "quality", "N=1"),
        _fetched("dnsmos_p835", "quality", "N=1"),
        _fetched("plcmos_v2", "quality", "batch_size=1", "frames=300"),
        _fetched("whisper_mel80", "features", "batch_size=1", "N=80000"),
        _fetched("onnx_seeded_shufflenet", "shufflenet"),
        _fetched("onnx_seeded_resnet50", "resnet"),
        _fetched("onnx_seeded_densenet121", "densenet"),
        _fetched("onnx_seeded_inception_v1", "inception"),
        _fetched("onnx_seeded_inception_v2", "inception"),
        _fetched("onnx_seeded_squeezenet", "squeezenet"),
    )


def _fetched(model: str, family: str, *shapes: str, name: str = "") -> Network:
    return Network(name=name or model, network=model, family=family, fetch=partial(fetch_models.fetch, model), shapes=shapes)
