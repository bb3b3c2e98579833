"""The transformers of the benchmark, on text and on images, and at which sizes."""

from __future__ import annotations

from .families import decoders, language, vision
from .images import made
from .network import Network


def transformers() -> tuple[Network, ...]:
    return (*_encoders(), *_decoders(), *_vision())


def _at(length: int, batch: int = 1) -> tuple[str, ...]:
    return (f"batch={batch}", f"sequence={length}")


def _encoders() -> tuple[Network, ...]:
    return (
        made("bert_mini_64", "bert_mini", "bert", language.bert, 4, 256, 4, 64, shapes=_at(64)),
        made("bert_mini_16x8", "bert_mini", "bert", language.bert, 4, 256, 4, 16, shapes=_at(16, 8), batch=8),
        made("bert_small_128", "bert_small", "bert", language.bert, 4, 512, 8, 128, opset=17, shapes=_at(128)),
        made("bert_small_384", "bert_small", "bert", language.bert, 4, 512, 8, 384, opset=17, shapes=_at(384)),
        made("bert_base_96", "bert_base", "bert", language.bert, 8, 768, 12, 96, words=4000, opset=17, shapes=_at(96)),
        made("bert_medium_48", "bert_medium", "bert", language.bert, 8, 512, 8, 48, shapes=_at(48)),
        made("distilbert_32", "distilbert", "bert", language.distilbert, 4, 768, 32, shapes=_at(32)),
        made("albert_96", "albert", "albert", language.albert, 6, 512, 96, shapes=_at(96)),
        made("t5_encoder_80", "t5_encoder", "t5", language.t5_encoder, 6, 384, 6, 80),
        made("patch_tst_336x2", "patch_tst", "series", language.series_transformer, 336, 7, 16, 128, 2),
    )


def _decoders() -> tuple[Network, ...]:
    return (
        made("gpt2_64", "gpt2", "gpt2", decoders.gpt2, 6, 512, 64, 8000, shapes=_at(64)),
        made("gpt2_160", "gpt2", "gpt2", decoders.gpt2, 6, 512, 160, 8000, shapes=_at(160)),
        made("llama_48", "llama", "llama", decoders.llama, 6, 512, 8, 2, 1376, 48, 6000, shapes=_at(48)),
        made("llama_step_128", "llama_step", "llama", decoders.llama_step, 6, 640, 10, 5, 1728, 128, 6000),
        made("qwen_32", "qwen", "qwen", decoders.llama, 5, 448, 7, 7, 1216, 32, 16000, bias=True, tied=True, shapes=_at(32)),
        made("phi_40", "phi", "phi", decoders.phi, 4, 512, 8, 40, 4000, shapes=_at(40)),
    )


def _vision() -> tuple[Network, ...]:
    return (
        made("vit_tiny_224", "vit_tiny", "vit", vision.vit, 12, 192, 3, 224, 16),
        made("vit_small_160", "vit_small", "vit", vision.vit, 8, 384, 6, 160, 16, opset=14, fused=False),
        made("vit_small_288", "vit_small", "vit", vision.vit, 8, 384, 6, 288, 16, opset=14, fused=False),
        made("deit_tiny_192", "deit_tiny", "vit", vision.vit, 10, 192, 3, 192, 16, tokens=2),
        made("clip_vision_128", "clip_vision", "vit", vision.vit, 6, 512, 8, 128, 16, act="quick_gelu", fused=False),
        made("vit_opset20_96", "vit_opset20", "vit", vision.vit, 6, 256, 4, 96, 8, opset=20),
        made("swin_micro_224", "swin_micro", "swin", vision.swin, (2, 2, 4, 2), 64, 224, 7),
        made("mlp_mixer_160", "mlp_mixer", "mixer", vision.mixer, 8, 384, 160, 16),
        made("poolformer_192", "poolformer", "poolformer", vision.poolformer, (2, 2, 4, 2), (64, 128, 256, 384), 192),
        made("segformer_256", "segformer", "segformer", vision.segformer, (2, 2, 2, 2), (32, 64, 128, 192), 256, 19),
        made("mobilevit_256", "mobilevit", "mobilevit", vision.mobilevit, 256),
        made("detr_320", "detr", "detr", vision.detr, 320, 192, 50),
        made("detr_512", "detr", "detr", vision.detr, 512, 192, 50),
        made("convmixer_96", "convmixer", "convmixer", vision.convmixer, 6, 256, 96, 4),
    )
