"""The image classifiers of the benchmark, and at which sizes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import onnx

from .families import classic, mobile, residual
from .network import Network

VGG = (32, 32, 0, 64, 64, 0, 128, 128, 128, 0, 256, 256, 256, 0, 256, 256, 0)


def made(
    name: str,
    network: str,
    family: str,
    maker: Callable[..., onnx.ModelProto],
    *sizes: object,
    shapes: tuple[str, ...] = (),
    **more: object,
) -> Network:
    """A network that `maker` makes when it is called with the name and these sizes."""
    return Network(name=name, network=network, family=family, make=partial(maker, name, *sizes, **more), shapes=shapes)


def classifiers() -> tuple[Network, ...]:
    return (*_residual(), *_classic(), *_mobile())


def _residual() -> tuple[Network, ...]:
    return (
        made("resnet18_224", "resnet18", "resnet", residual.resnet, (2, 2, 2, 2), 224),
        made("resnet18_128x4", "resnet18", "resnet", residual.resnet, (2, 2, 2, 2), 128, batch=4),
        made("resnet34_160", "resnet34", "resnet", residual.resnet, (3, 4, 6, 3), 160, folded=False),
        made("resnet50_192", "resnet50", "resnet", residual.deep_resnet, (3, 4, 6, 3), 192),
        made("resnet50_384", "resnet50", "resnet", residual.deep_resnet, (3, 4, 6, 3), 384),
        made("resnext50_160", "resnext50", "resnext", residual.deep_resnet, (3, 4, 6, 3), 160, group=32, width=128),
        made("wide_resnet26_128", "wide_resnet26", "resnet", residual.deep_resnet, (2, 2, 2, 2), 128, width=128, folded=False),
        made("preact_resnet20_32", "preact_resnet20", "resnet", residual.preact_resnet, (3, 3, 3), 32, 16),
        made("resnet_d38_192", "resnet_d38", "resnet", residual.resnet_d, (2, 3, 5, 2), 192),
    )


def _classic() -> tuple[Network, ...]:
    return (
        made("alexnet_224", "alexnet", "alexnet", classic.alexnet, 224, 1024),
        made("vgg_slim_160", "vgg_slim", "vgg", classic.vgg, 160, VGG, 512, False),
        made("vgg_slim_320", "vgg_slim", "vgg", classic.vgg, 320, VGG, 512, False),
        made("vgg_norm_64", "vgg_norm", "vgg", classic.vgg, 64, (64, 0, 128, 0, 256, 256, 0, 512, 512, 0), 256, True),
        made("googlenet_192", "googlenet", "inception", classic.googlenet, 192),
        made("inception_v3_213", "inception_v3", "inception", classic.inception, 213),
        made("squeezenet_224", "squeezenet", "squeezenet", classic.squeezenet, 224),
        made("densenet_growth24_160", "densenet_growth24", "densenet", classic.densenet, 160, (6, 8, 10, 6), 24),
    )


def _mobile() -> tuple[Network, ...]:
    return (
        made("mobilenet_v1_224", "mobilenet_v1", "mobilenet", mobile.mobilenet_v1, 224, 1.0),
        made("mobilenet_v1_384", "mobilenet_v1", "mobilenet", mobile.mobilenet_v1, 384, 1.0),
        made("mobilenet_v1_quarter_96", "mobilenet_v1_quarter", "mobilenet", mobile.mobilenet_v1, 96, 0.25),
        made("mobilenet_v2_224", "mobilenet_v2", "mobilenet", mobile.mobilenet_v2, 224),
        made("mobilenet_v2_128x3", "mobilenet_v2", "mobilenet", mobile.mobilenet_v2, 128, batch=3),
        made("mobilenet_v3_224", "mobilenet_v3", "mobilenet", mobile.mobilenet_v3, 224, False),
        made("mobilenet_v3_parts_160", "mobilenet_v3", "mobilenet", mobile.mobilenet_v3, 160, True),
        made("mnasnet_192", "mnasnet", "mobilenet", mobile.mnasnet, 192),
        made("efficientnet_b0_224", "efficientnet_b0", "efficientnet", mobile.efficientnet, 224),
        made("efficientnet_b2_256", "efficientnet_b2", "efficientnet", mobile.efficientnet, 256, 1.1, 1.2),
        made("efficientnet_v2_192", "efficientnet_v2", "efficientnet", mobile.efficientnet_v2, 192),
        made("efficientnet_v2_320", "efficientnet_v2", "efficientnet", mobile.efficientnet_v2, 320),
        made("shufflenet_v2_224", "shufflenet_v2", "shufflenet", mobile.shufflenet_v2, 224, (116, 232, 464, 1024)),
        made("shufflenet_v2_half_320", "shufflenet_v2_half", "shufflenet", mobile.shufflenet_v2, 320, (48, 96, 192, 1024)),
        made("ghostnet_224", "ghostnet", "ghostnet", mobile.ghostnet, 224),
        made("lcnet_224", "lcnet", "lcnet", mobile.lcnet, 224, 1.0),
    )
