"""Networks that nobody looked at while the calibration's classes were settled: `prediction.py --fresh` predicts them.

They are not among `networks()`: the classes of a fit (which operators share a rate, on which conditions) were chosen by what predicts those
best, so that splits of them are kinder than a model that a user brings. Keep these out of every fit and of every choice of classes; once
somebody has tuned a fit with them in view, they belong into `networks()`, as those of `fresh.py` did, and others here. Written on
2026-11-27, before any of them was measured.
"""

from __future__ import annotations

from .families import unseen_images, unseen_planes, unseen_sequences
from .images import made
from .network import Network


def unseen_networks() -> tuple[Network, ...]:
    return (*_images(), *_planes(), *_sequences())


def _images() -> tuple[Network, ...]:
    return (
        made("vovnet_176", "vovnet", "vovnet", unseen_images.vovnet, 176, ((40, 96), (56, 192), (64, 256))),
        made("resnest_160", "resnest", "resnest", unseen_images.resnest, 160, ((32, 1), (64, 2), (64, 1), (96, 2))),
        made("squeezenext_227", "squeezenext", "squeezenext", unseen_images.squeezenext, 227),
        made("rexnet_192", "rexnet", "rexnet", unseen_images.rexnet, 192),
        made("coatnet_160", "coatnet", "coatnet", unseen_images.coatnet, 160, 48),
        made("edgenext_256", "edgenext", "edgenext", unseen_images.edgenext, 256),
        made("tresnet_160", "tresnet", "tresnet", unseen_images.tresnet, 160),
        made("faces_112x2", "faces", "faces", unseen_images.faces, 112, 2),
    )


def _planes() -> tuple[Network, ...]:
    return (
        made("pspnet_256", "pspnet", "pspnet", unseen_planes.pyramid, 256, 21),
        made("bisenet_192x384", "bisenet", "bisenet", unseen_planes.two_paths, 192, 384),
        made("u2net_160", "u2net", "u2net", unseen_planes.nested, 160),
        made("yolox_256", "yolox", "yolox", unseen_planes.decoupled, 256, 24),
        made("centernet_192", "centernet", "centernet", unseen_planes.center_points, 192),
        made("openpose_128", "openpose", "openpose", unseen_planes.part_fields, 128),
        made("dncnn_128", "dncnn", "dncnn", unseen_planes.denoiser, 128, 32, 8),
        made("latents_16", "latents", "latents", unseen_planes.latent_decoder, 16, 64),
    )


def _sequences() -> tuple[Network, ...]:
    return (
        made("demucs_8k", "demucs", "demucs", unseen_sequences.waveform_u, 8192, 32),
        made("panns_128x2", "panns", "panns", unseen_sequences.sound_events, 128, 2),
        made("fastspeech_120", "fastspeech", "fastspeech", unseen_sequences.speech, 120, 192),
        made("rnnoise_60", "rnnoise", "rnnoise", unseen_sequences.noise_gains, 60),
        made("roberta_4x40", "roberta", "roberta", unseen_sequences.roberta, 4, 40, 384, 4),
        made("bart_72", "bart", "bart", unseen_sequences.summariser, 72, 20, 384),
        made("fnet_128", "fnet", "fnet", unseen_sequences.fourier, 128, 384, 6),
        made("performer_512", "performer", "performer", unseen_sequences.linear_attention, 512, 128, 6),
        made("bloom_56", "bloom", "bloom", unseen_sequences.slopes_decoder, 56, 512, 4, 7000),
        made("autoint_128", "autoint", "autoint", unseen_sequences.fields, 128, 24, 32),
        made("gat_300", "gat", "gat", unseen_sequences.graph_attention, 300, 32),
        made("tft_16x48", "tft", "tft", unseen_sequences.gated_forecast, 16, 48, 64),
    )
