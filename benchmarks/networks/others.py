"""The rest of the benchmark: scaled classifiers, planes and boxes, signals, tables, and at which sizes."""

from __future__ import annotations

from .families import planes, scaled, signals, tables
from .images import made
from .network import Network


def others() -> tuple[Network, ...]:
    return (*_scaled(), *_planes(), *_signals(), *_tables())


def _scaled() -> tuple[Network, ...]:
    return (
        made("regnet_x_224", "regnet_x", "regnet", scaled.regnet, 224, (1, 2, 4, 2), (48, 96, 192, 432), 24, False),
        made("regnet_y_192", "regnet_y", "regnet", scaled.regnet, 192, (1, 3, 5, 2), (48, 112, 256, 608), 16, True, folded=False),
        made("regnet_y_narrow_224", "regnet_y_narrow", "regnet", scaled.regnet, 224, (1, 1, 4, 3), (24, 56, 152, 368), 8, True),
        made("convnext_192", "convnext", "convnext", scaled.convnext, 192, (2, 2, 4, 2), (64, 128, 256, 512), True),
        made("convnext_conv_128", "convnext_conv", "convnext", scaled.convnext, 128, (2, 2, 6, 2), (48, 96, 192, 384), False),
        made("repvgg_192", "repvgg", "repvgg", scaled.repvgg, 192, (1, 2, 4, 6, 1), (48, 48, 96, 192, 768), True),
        made("repvgg_branches_128", "repvgg", "repvgg", scaled.repvgg, 128, (1, 2, 4, 4, 1), (48, 48, 96, 192, 512), False),
        made("csp_mish_160", "csp_mish", "cspnet", scaled.cspnet, 160, (1, 2, 3, 2), "mish"),
        made("csp_leaky_224", "csp_leaky", "cspnet", scaled.cspnet, 224, (1, 2, 4, 2), "leaky"),
        made("hrnet_192", "hrnet", "hrnet", scaled.hrnet, 192, 24, 17),
        made("efficient_vit_192", "efficient_vit", "efficient_vit", scaled.efficient_vit, 192, 64),
        made("lenet_28x32", "lenet", "lenet", scaled.lenet, 28, 32),
    )


def _planes() -> tuple[Network, ...]:
    return (
        made("unet_128", "unet", "unet", planes.unet, 128, 24, 4, True),
        made("unet_384", "unet", "unet", planes.unet, 384, 24, 4, True),
        made("unet_bilinear_192", "unet_bilinear", "unet", planes.unet, 192, 16, 5, False),
        made("deeplab_256", "deeplab", "deeplab", planes.deeplab, 256, 21),
        made("yolov5_320", "yolov5", "yolo", planes.yolo, 320, 16, "silu"),
        made("yolov5_640", "yolov5", "yolo", planes.yolo, 640, 16, "silu"),
        made("yolov5_192", "yolov5", "yolo", planes.yolo, 192, 16, "silu"),
        made("yolo_leaky_256", "yolo_leaky", "yolo", planes.yolo, 256, 24, "leaky"),
        made("ssd_256", "ssd", "ssd", planes.ssd, 256, 21),
        made("edsr_96", "edsr", "resolution", planes.shuffled_resolution, 96, 32, 6, 2),
        made("edsr_224", "edsr", "resolution", planes.shuffled_resolution, 224, 32, 6, 2),
        made("fsrcnn_112", "fsrcnn", "resolution", planes.transposed_resolution, 112, 56, 3),
        made("style_128", "style", "style", planes.style, 128, 24),
        made("autoencoder_64x4", "autoencoder", "autoencoder", planes.autoencoder, 64, (32, 64, 128, 256), 4),
        made("fast_depth_224", "fast_depth", "depth", planes.depth, 224, 320),
    )


def _signals() -> tuple[Network, ...]:
    return (
        made("tcn_512x2", "tcn", "tcn", signals.tcn, 512, 16, 96, 6, 2),
        made("wav2vec_12k", "wav2vec", "wav2vec", signals.wav2vec, 12000, 384, 3),
        made("whisper_tiny_300", "whisper_tiny", "whisper", signals.whisper_encoder, 300, 384, 4),
        made("whisper_tiny_1500", "whisper_tiny", "whisper", signals.whisper_encoder, 1500, 384, 4),
        made("conformer_200", "conformer", "conformer", signals.conformer, 200, 144, 6),
        made("tasnet_8k", "tasnet", "tasnet", signals.tasnet, 8000, 128),
        made("crnn_200", "crnn", "crnn", signals.crnn, 200, 192),
        made("keyword_gru_100", "keyword_gru", "keyword", signals.keyword_gru, 100, 128),
        made("keyword_cnn_64", "keyword_cnn", "keyword", signals.keyword_cnn, 64),
        made("lstm_language_48", "lstm_language", "lstm", signals.lstm_language, 48, 4000, 512, 2),
        made("gru_forecast_96x8", "gru_forecast", "series", signals.encoder_forecast, 96, 8),
    )


def _tables() -> tuple[Network, ...]:
    return (
        made("dlrm_32", "dlrm", "dlrm", tables.dlrm, 32, 26, 4000, 64),
        made("wide_deep_64", "wide_deep", "wide_deep", tables.wide_deep, 64),
        made("tabular_mlp_128", "tabular_mlp", "tabular", tables.tabular, 128, 40, 256, 4),
        made("ft_transformer_16", "ft_transformer", "tabular", tables.tab_transformer, 16, 24, 192),
        made("gcn_400", "gcn", "graph", tables.graph_convolutions, 400, 128, 128),
        made("perceiver_1024", "perceiver", "perceiver", tables.perceiver, 1024, 64, 96, 256),
        made("point_net_1024", "point_net", "points", tables.point_net, 1024),
        made("nerf_2048", "nerf", "nerf", tables.nerf, 2048, 192),
    )
