"""Every exact or reassociating rule: fires on its operator, keeps its contract on random values, leaves near misses alone."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
import pytest
from golden import Golden
from hypothesis import given, settings
from hypothesis import strategies as st
from run_model import emitted, feeds, infer, run
from small_models import parse

from autoglmc.passes.graph.graph import Graph
from autoglmc.passes.library import DECOMPOSE, SIMPLIFY, SUBSTITUTE, facts, family, named
from autoglmc.passes.rule.apply import apply
from autoglmc.passes.rule.rewrite import Replacement

X = "float[2,3,4,5] x"
LAYER = "<float[4,5] w = {1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20}, float[5] v = {1,2,3,2,1}, float[5] b = {0,1,0,2,3}>"
Q = "float[2,4,5,8] x"
CHANNELS = "<float[3] s = {1,2,3}, float[3] b = {3,-2,1}, float[3] m = {0.1,0.2,0.3}, float[3] v = {1,0.5,2}>"
MATRIX = "<float[4,2] w = {1,2,3,4,5,6,7,8}, float[2,4] t = {1,2,3,4,5,6,7,8}, float[2] c = {9,-9}>"

TABLE = f"<float[9,2] t = {{{','.join(map(str, range(18)))}}}, float[2,9] u = {{{','.join(map(str, range(18)))}}}>"
"""For indices in -8..8."""
UPDATED = "float[2,3] x, float[2,2] u"
POINTWISE = """<float[3,4,1,1] k = {1,-2,3,4,5,6,-7,8,9,1,2,3}, float[3,4,1] l = {1,-2,3,4,5,6,-7,8,9,1,2,3}, float[3] c = {1,2,-3},
    float[4,1,1,1] d = {1,2,3,4}>"""
COVERING = f"<float[3,2,2,2] p = {{{','.join(str(k % 7 - 3) for k in range(24))}}}, float[3] c = {{1,2,-3}}>"


def one(body: str, constants: str = "", x: str = X, y: str = "float[2,3,4,5] y") -> str:
    return f"g ({x}) => ({y}) {constants} {{ {body} }}"


FIRES: Mapping[str, tuple[str, ...]] = {
    "cast_bool": (
        one("y = Cast <to = 9> (x)", x="int64[16,16] x", y="bool[16,16] y"),
        one("y = Cast <to = 9> (x)", x="uint8[256] x", y="bool[256] y"),
    ),
    "einsum_matmul": (
        one('y = Einsum<equation="bihd,bjhd->bhij">(x, z)', "", "float[2,3,4,5] x, float[2,6,4,5] z", "float[2,4,3,6] y"),
        one('y = Einsum<equation="ij, jk">(x, w)', MATRIX, "float[3,4] x", "float[3,2] y"),
        one('y = Einsum<equation="abc,b->ca">(x, z)', "", "float[2,3,4] x, float[3] z", "float[4,2] y"),
        one('y = Einsum<equation="ab,b->ab">(x, z)', "", "float[2,3] x, float[3] z", "float[2,3] y"),
        one('y = Einsum<equation="abc->ca">(x)', "", "float[2,3,4] x", "float[4,2] y"),
    ),
    "grid_sample_gather": tuple(
        one(f'y = GridSample<{given}>(x, z)', "", "float[2,3,4,5] x, float[2,3,2,2] z", "float[2,3,3,2] y")
        for given in ('mode="linear"', 'mode="linear", padding_mode="border", align_corners=1', 'mode="nearest", padding_mode="reflection"')
    ),
    "scatter_where": tuple(
        one(f"y = ScatterElements<axis={axis}, reduction=\"{way}\">(x, i, u)", f"<int64[2,2] i = {{{places}}}>", UPDATED, "float[2,3] y")
        for axis, way, places in ((1, "none", "0,2,1,0"), (-1, "add", "0,0,-1,2"))
    ),
    "shuffle_filters": (
        one(
            'c = Conv(x, k, b) y = DepthToSpace<blocksize=2, mode="CRD">(c)',
            "<float[8,1,1,1] k = {1,2,3,4,5,6,7,8}, float[8] b = {8,7,6,5,4,3,2,1}>",
            "float[2,1,3,4] x",
            "float[2,2,6,8] y",
        ),
    ),
    "gather_from_start": (
        one("y = Gather(t, x)", TABLE, "int64[3,2] x", "float[3,2,2] y"),
        one("y = Gather<axis=-1>(u, x)", TABLE, "int32[4] x", "float[2,4] y"),
        "g (int64[3] x, float[4,9,2] t) => (float[4,3,2] y) { y = Gather<axis=1>(t, x) }",
    ),
    "gelu_erf": (one("y = Gelu(x)"),),
    **{
        f"layernorm_{name}": (
            one("y = LayerNormalization<axis=-1>(x, v, b)", LAYER),
            one("y = LayerNormalization<axis=2, epsilon=0.01>(x, w)", LAYER),
            one("y = LayerNormalization<axis=3, epsilon=1e-12>(x, v)", LAYER),
        )
        for name in ("div", "reciprocal", "pow")
    },
    **{
        f"rmsnorm_{name}": (
            one("y = RMSNormalization<axis=-1>(x, v)", LAYER),
            one("y = RMSNormalization<axis=-2, epsilon=0.01>(x, w)", LAYER),
        )
        for name in ("div", "reciprocal", "pow")
    },
    **{
        f"instancenorm_{name}": (
            one("y = InstanceNormalization<epsilon=0.01>(x, s, b)", CHANNELS),
            one("y = InstanceNormalization(x, s, b)", CHANNELS, "float[2,3,7] x", "float[2,3,7] y"),
        )
        for name in ("div", "reciprocal", "pow")
    },
    "groupnorm_instance": (
        "g (float[2,6,3,2] x) => (float[2,6,3,2] y) <float[6] s = {1,2,3,4,5,6}> { y = GroupNormalization<num_groups=3>(x, s, s) }",
        "g (float[2,6,3] x, float[6] s) => (float[2,6,3] y) { y = GroupNormalization<num_groups=2, epsilon=0.125>(x, s, s) }",
    ),
    "attention_softmax": (
        f"g ({Q}, float[2,2,7,8] k, float[2,2,7,6] v) => (float[2,4,5,6] y) {{ y = Attention<is_causal=1, softcap=2.0>(x, k, v) }}",
        f"g ({Q}, float[2,4,7,8] k, float[2,4,7,6] v, float[5,7] m) => (float[2,4,5,6] y) {{ y = Attention<scale=0.3>(x, k, v, m) }}",
        "g (float[2,5,8] x, float[2,7,8] k, float[2,7,4] v) => (float[2,5,4] y) { y = Attention<q_num_heads=2, kv_num_heads=2>(x, k, v) }",
    ),
    "rotary_slices": (
        f"g ({Q}, float[2,5,4] c) => (float[2,4,5,8] y) {{ y = RotaryEmbedding<interleaved=1>(x, c, c) }}",
        f"g ({Q}, float[2,5,2] c) => (float[2,4,5,8] y) {{ y = RotaryEmbedding<num_heads=4, rotary_embedding_dim=4>(x, c, c) }}",
        "g (float[2,5,8] x, float[2,5,2] c) => (float[2,5,8] y) { y = RotaryEmbedding<num_heads=2>(x, c, c) }",
    ),
    "lpnorm_div": (one("y = LpNormalization<axis=1>(x)"), one("y = LpNormalization(x)"), one("y = LpNormalization<p=1, axis=-2>(x)")),
    "batchnorm_affine": (
        one("y = BatchNormalization<epsilon=0.01>(x, s, b, m, v)", CHANNELS),
        one("y = BatchNormalization(x, s, b, m, v)", CHANNELS, "float[7,3] x", "float[7,3] y"),
    ),
    "swish_sigmoid": (one("y = Swish(x)"), one("y = Swish<alpha=1.702>(x)")),
    "hardswish_hardsigmoid": (one("y = HardSwish(x)"),),
    "hardswish_clip": (one("y = HardSwish(x)"),),
    "hardsigmoid_clip": (one("y = HardSigmoid(x)"), one("y = HardSigmoid<alpha=1.0, beta=0.0>(x)"), one("y = HardSigmoid<beta=0.25>(x)")),
    "sigmoid_tanh": (one("y = Sigmoid(x)"),),
    "softplus_log": (one("y = Softplus(x)"),),
    "mish_softplus": (one("y = Mish(x)"),),
    "logsoftmax_log": (one("y = LogSoftmax(x)"), one("y = LogSoftmax<axis=1>(x)")),
    "leakyrelu_relu": (one("y = LeakyRelu(x)"), one("y = LeakyRelu<alpha=0.3>(x)")),
    "prelu_relu": (one("y = PRelu(x, v)", LAYER),),
    "neg_mul": (one("y = Neg(x)"),),
    "abs_relu": (one("y = Abs(x)"),),
    "sum_add": (
        one("y = Sum(x)"),
        one("y = Sum(x, z, x)", x=f"{X}, float[5] z"),
    ),
    "pow_mul": (one("y = Pow(x, e)", "<float e = {2}>"), one("y = Pow(x, e)", "<float[1] e = {3}>")),
    "pow_sqrt": (
        one("a = Abs(x) y = Pow(a, e)", "<float e = {0.5}>"),
        one("a = Exp(x) y = Pow(a, e)", "<float[1,1] e = {-0.5}>"),
    ),
    "sqrt_pow": (one("a = Abs(x) y = Sqrt(a)"),),
    "sub_add": (one("y = Sub(x, z)", x=f"{X}, float[5] z"), one("y = Sub(x, v)", LAYER)),
    "div_mul": (one("y = Div(x, v)", LAYER), one("y = Div(x, c)", "<float c = {3}>")),
    "div_reciprocal": (one("e = Exp(z) y = Div(x, e)", x=f"{X}, float[5] z"),),
    "reciprocal_div": (one("e = Exp(x) y = Reciprocal(e)"),),
    "extreme_clip": (one("y = Max(x, c)", "<float c = {0.5}>"), one("y = Min(c, x)", "<float[1] c = {0.5}>")),
    "extreme_relu": (one("y = Max(x, z)", x=f"{X}, float[4,5] z"), one("y = Min(x, z)", x=f"{X}, float[4,5] z")),
    "clip_relu": (
        one("y = Clip(x, l)", "<float l = {0}>"),
        one("y = Clip(x, l, h)", "<float l = {0}, float h = {3.4028234e38}>"),
    ),
    "clip_minmax": (
        one("y = Clip(x, l, h)", "<float l = {-1}, float h = {0.5}>"),
        one("y = Clip(x, , h)", "<float h = {0.5}>"),
        one("y = Clip(x)"),
    ),
    "clip_relus": (
        one("y = Clip(x, l, h)", "<float l = {-1}, float h = {0.5}>"),
        one("y = Clip(x, l, h)", "<float l = {0}, float h = {6}>"),
    ),
    "squeeze_reshape": (one("y = Squeeze(x, a)", "<int64[1] a = {1}>", "float[2,1,3] x", "float[2,3] y"),),
    "unsqueeze_reshape": (one("y = Unsqueeze(x, a)", "<int64[2] a = {0,-1}>", "float[2,3] x", "float[1,2,3,1] y"),),
    "expand_concat": (
        "g (float[2,1,3] x) => (float[2,4,3] y) <int64[3] s = {2,4,1}> { y = Expand(x, s) }",
        "g (float16[1,5] x) => (float16[3,5] y) <int64[2] s = {3,5}> { y = Expand(x, s) }",
    ),
    "expand_mul": (
        "g (float[2,1,3] x) => (float[2,4,3] y) <int64[3] s = {2,4,1}> { y = Expand(x, s) }",
        "g (float[3] x) => (float[2,3] y) <int64[2] s = {2,3}> { y = Expand(x, s) }",
        "g (float[1,2,1] x) => (float[4,2,5] y) <int64[3] s = {4,1,5}> { y = Expand(x, s) }",
    ),
    "flatten_reshape": (one("y = Flatten<axis=2>(x)", y="float[6,20] y"), one("y = Flatten<axis=0>(x)", y="float[1,120] y")),
    "split_slice": (
        "g (float[2,6] x) => (float[2,2] y, float[2,3] z, float[2,1] u) <int64[3] n = {2,3,1}> { y, z, u = Split<axis=-1>(x, n) }",
        "g (float[4,6] x) => (float[2,6] y, float[2,6] z) { y, z = Split<axis=0, num_outputs=2>(x) }",
    ),
    "pool_mean": (one("y = GlobalAveragePool(x)", y="float[2,3,1,1] y"),),
    "averagepool_counted": (
        one("y = AveragePool<kernel_shape=[3,3], pads=[1,1,1,1]>(x)"),
        one("y = AveragePool<kernel_shape=[2,3], pads=[1,0,0,2], strides=[2,1]>(x)", y="float[2,3,2,5] y"),
        one("y = AveragePool<kernel_shape=[4], pads=[2,3], strides=[3]>(x)", "", "float[1,2,8] x", "float[1,2,4] y"),
    ),
    "mean_pool": (
        one("y = ReduceMean(x, a)", "<int64[2] a = {-1,2}>", y="float[2,3,1,1] y"),
        one("y = ReduceMean<keepdims=0>(x, a)", "<int64[2] a = {2,3}>", y="float[2,3] y"),
    ),
    "sum_mean": (
        one("y = ReduceSum(x, a)", "<int64[1] a = {1}>", y="float[2,1,4,5] y"),
        one("y = ReduceSum<keepdims=0>(x)", y="float y"),
    ),
    "mean_sum": (one("y = ReduceMean<keepdims=0>(x, a)", "<int64[2] a = {0,-1}>", y="float[3,4] y"),),
    "mean_keepdims": (one("y = ReduceMean<keepdims=0>(x, a)", "<int64[2] a = {0,-1}>", y="float[3,4] y"),),
    "sum_keepdims": (one("y = ReduceSum<keepdims=0>(x, a)", "<int64[1] a = {-2}>", y="float[2,3,5] y"),),
    "space_to_depth_transpose": (
        "g (float[2,3,4,6] x) => (float[2,12,2,3] y) { y = SpaceToDepth<blocksize=2>(x) }",
        "g (float[1,2,6,3] x) => (float[1,18,2,1] y) { y = SpaceToDepth<blocksize=3>(x) }",
    ),
    "depth_to_space_transpose": (
        "g (float[2,8,2,3] x) => (float[2,2,4,6] y) { y = DepthToSpace<blocksize=2>(x) }",
        'g (float[2,8,2,3] x) => (float[2,2,4,6] y) { y = DepthToSpace<blocksize=2, mode="CRD">(x) }',
    ),
    "matmul_2d": (
        one("y = MatMul(x, w)", MATRIX, "float[2,3,4] x", "float[2,3,2] y"),
        one("y = MatMul(x, w)", MATRIX, "float[2,3,1,4] x", "float[2,3,1,2] y"),
    ),
    "matmul_2d_gemm": (one("y = MatMul(x, w)", MATRIX, "float[2,3,4] x", "float[2,3,2] y"),),
    "matmul_gemm": (one("y = MatMul(x, w)", MATRIX, "float[3,4] x", "float[3,2] y"),),
    "gemm_matmul": (
        one("y = Gemm(x, w, c)", MATRIX, "float[3,4] x", "float[3,2] y"),
        one("y = Gemm<transB=1, alpha=0.5, beta=2.0>(x, t, c)", MATRIX, "float[3,4] x", "float[3,2] y"),
        one("y = Gemm<transA=1, alpha=0.5>(x, w)", MATRIX, "float[4,3] x", "float[3,2] y"),
        one("y = Gemm<transB=1, alpha=2.0, beta=0.0>(x, z, c)", MATRIX, "float[3,4] x, float[2,4] z", "float[3,2] y"),
    ),
    "matmul_conv": (
        one("y = MatMul(x, w)", MATRIX, "float[2,3,4] x", "float[2,3,2] y"),
        one("y = MatMul(x, w)", MATRIX, "float[3,4] x", "float[3,2] y"),
    ),
    "gemm_conv": (
        one("y = Gemm(x, w, c)", MATRIX, "float[3,4] x", "float[3,2] y"),
        one("y = Gemm<transB=1, alpha=0.5, beta=2.0>(x, t, c)", MATRIX, "float[3,4] x", "float[3,2] y"),
        one("y = Gemm<transA=1, alpha=0.5>(x, w)", MATRIX, "float[4,3] x", "float[3,2] y"),
        one("y = Gemm<beta=0.0>(x, w, c)", MATRIX, "float[3,4] x", "float[3,2] y"),
    ),
    "conv_matmul": (
        one("y = Conv(x, k, c)", POINTWISE, "float[2,4,2,5] x", "float[2,3,2,5] y"),
        one("y = Conv<strides=[1], pads=[0,0], kernel_shape=[1]>(x, l)", POINTWISE, "float[2,4,5] x", "float[2,3,5] y"),
    ),
    "conv_whole": (
        one("y = Conv(x, p, c)", COVERING, "float[5,2,2,2] x", "float[5,3,1,1] y"),
        one("y = Conv<strides=[2,2], pads=[0,0,0,0]>(x, p)", COVERING, "float[1,2,2,2] x", "float[1,3,1,1] y"),
    ),
    "conv_gemm": (
        one("y = Conv(x, k, c)", POINTWISE, "float[2,4,2,5] x", "float[2,3,2,5] y"),
        one("y = Conv<strides=[1], pads=[0,0], kernel_shape=[1]>(x, l)", POINTWISE, "float[2,4,5] x", "float[2,3,5] y"),
    ),
}  # fmt: skip
STAYS: Mapping[str, str] = {
    "gelu_erf": one('y = Gelu<approximate="tanh">(x)'),
    "layernorm": "g (float[2,5] x) => (float[2,5] y, float[2,1] m) <float[5] v = {1,2,3,2,1}> { y, m = LayerNormalization(x, v) }",
    "rmsnorm": one("y = LayerNormalization(x, v)", LAYER),
    "instancenorm": "g (float[2,3,4] x, float[3] s) => (float[2,3,4] y) <float[3] b = {1,2,3}> { y = InstanceNormalization(x, s, b) }",
    "groupnorm_instance": "g (float[A,2,4] x, float[2] s) => (float[A,2,4] y) { y = GroupNormalization<num_groups=1>(x, s, s) }",
    "lpnorm_div": one("y = ReduceL2(x, a)", "<int64[1] a = {1}>", y="float[2,1,4,5] y"),
    "softplus_log": one("y = Softsign(x)"),
    "mish_softplus": one("y = Softplus(x)"),
    "logsoftmax_log": one("y = Softmax(x)"),
    "batchnorm_affine": "g (float[2,3] x, float[3] s) => (float[2,3] y) <float[3] b = {1,2,3}> { y = BatchNormalization(x, s, b, b, b) }",
    "neg_mul": "g (int64[2] x) => (int64[2] y) { y = Neg(x) }",
    "abs_relu": "g (int64[2] x) => (int64[2] y) { y = Abs(x) }",
    "sum_add": one("y = Add(x, x)"),
    "pow_mul": one("y = Pow(x, e)", "<float e = {2.5}>"),
    "pow_sqrt": one("y = Pow(x, e)", "<float e = {2}>"),
    "sub_add": "g (int64[2] x) => (int64[2] y) { y = Sub(x, x) }",
    "div_mul": one("y = Div(x, c)", "<float[2] c = {1, 0}>", "float[2] x", "float[2] y"),
    "div_reciprocal": "g (int64[2] x) => (int64[2] y) { y = Div(x, x) }",
    "extreme_clip": one("y = Max(x, v)", LAYER),
    "extreme_relu": one("y = Max(x, c)", "<float c = {-inf}>"),
    "clip_relu": one("y = Clip(x, l, h)", "<float l = {0}, float h = {6}>"),
    "clip_minmax": "g (float[2] x, float l) => (float[2] y) { y = Clip(x, l) }",
    "clip_relus": one("y = Clip(x, l)", "<float l = {-1}>"),
    "einsum_matmul": one('y = Einsum<equation="ii->i">(x)', "", "float[3,3] x", "float[3] y"),
    "grid_sample_gather": one('y = GridSample<mode="cubic">(x, z)', "", "float[1,1,4,5] x, float[1,3,2,2] z", "float[1,1,3,2] y"),
    "scatter_where": one('y = ScatterElements<reduction="mul">(x, i, x)', "<int64[2] i = {1,0}>", "float[2] x", "float[2] y"),
    "shuffle_filters": one(
        "c = Conv(x, k) y = DepthToSpace<blocksize=2>(c)", "<float[4,1,1,1] k = {1,2,3,4}>", "float[1,1,3,4] x", "float[1,1,6,8] y"
    ),
    "squeeze_reshape": "g (float[A,1,B] x) => (float[A,B] y) <int64[1] a = {1}> { y = Squeeze(x, a) }",
    "unsqueeze_reshape": "g (float[A,B] x) => (float[A,1,B] y) <int64[1] a = {1}> { y = Unsqueeze(x, a) }",
    "expand_concat": "g (float[A,1] x) => (float[A,B] y) <int64[2] s = {1,4}> { y = Expand(x, s) }",
    "expand_mul": "g (float[1] x) => (float[1048576,1048576] y) <int64[2] s = {1048576,1048576}> { y = Expand(x, s) }",
    "flatten_reshape": "g (float[A,B,2] x) => (float[A,M] y) { y = Flatten(x) }",
    "split_slice": "g (float[A] x) => (float[B] y, float[C] z) { y, z = Split<num_outputs=2>(x) }",
    "space_to_depth_transpose": "g (float[A,3,B,6] x) => (float[A,12,C,3] y) { y = SpaceToDepth<blocksize=2>(x) }",
    "averagepool_counted": one("y = AveragePool<kernel_shape=[3,3], pads=[1,1,1,1], count_include_pad=1>(x)"),
    "averagepool_counted_ceil": one(
        "y = AveragePool<kernel_shape=[3,3], pads=[1,1,1,1], strides=[2,2], ceil_mode=1>(x)", y="float[2,3,3,3] y"
    ),
    "mean_pool": one("y = ReduceMean(x, a)", "<int64[1] a = {-1}>", y="float[2,3,4,1] y"),
    "sum_mean": "g (float[A,2] x) => (float[1,2] y) <int64[1] a = {0}> { y = ReduceSum(x, a) }",
    "mean_sum": "g (float[A,2] x) => (float[1,2] y) <int64[1] a = {0}> { y = ReduceMean(x, a) }",
    "mean_keepdims": one("y = ReduceMean(x, a)", "<int64[1] a = {-1}>", y="float[2,3,4,1] y"),
    "sum_keepdims": one("y = ReduceSum(x, a)", "<int64[1] a = {-1}>", y="float[2,3,4,1] y"),
    "matmul_2d": one("y = MatMul(x, w)", MATRIX, "float[3,4] x", "float[3,2] y"),
    "matmul_gemm": one("y = MatMul(x, w)", MATRIX, "float[2,3,4] x", "float[2,3,2] y"),
    "gemm_matmul": one("y = MatMul(x, w)", MATRIX, "float[3,4] x", "float[3,2] y"),
    "matmul_conv": "g (float[3,4] x, float[4,2] w) => (float[3,2] y) { y = MatMul(x, w) }",
    "gemm_conv": "g (float[2,4] x) => (float[2,2] y) <float[4,2] w = {1,2,3,4,5,6,7,8}, float[2,1] c = {1,2}> { y = Gemm(x, w, c) }",
    "conv_matmul": one("y = Conv<strides=[2,2]>(x, k)", POINTWISE, "float[2,4,2,5] x", "float[2,3,1,3] y"),
    "conv_whole": one("y = Conv<pads=[1,1,0,0]>(x, p)", COVERING, "float[5,2,2,2] x", "float[5,3,2,2] y"),
    "conv_gemm": one("y = Conv<group=4>(x, d)", POINTWISE, "float[2,4,2,5] x", "float[2,4,2,5] y"),
    "attention_softmax": f"g ({Q}) => (float[2,4,5,8] y, float[2,4,5,5] s) {{ y, , , s = Attention(x, x, x) }}",
    "rotary_slices": "g (float[2,n,5,8] x, float[2,5,4] c) => (float[2,n,5,8] y) { y = RotaryEmbedding(x, c, c) }",
    "activations": one("y = Softsign(x)"),
    "gather_from_start": "g (int64[3] x, float[n,2] t) => (float[3,2] y) { y = Gather(t, x) }",
    "gather_from_start_constant": one("y = Gather(x, i)", "<int64[2] i = {-1, 0}>", "float[3,2] x", "float[2,2] y"),
    "gather_from_start_found": "g (float[3,4] x, float[4,2] t) => (float[3,2] y) { i = ArgMax<axis=1, keepdims=0>(x) y = Gather(t, i) }",
    "gather_from_start_unsigned": "g (uint8[3] x, float[9,2] t) => (float[3,2] y) { i = Cast<to=7>(x) y = Gather(t, i) }",
}


def load(text: str, opset: int = 24) -> onnx.ModelProto:
    return infer(parse(text, opset=opset, ir=10))


def test_every_decomposition_is_tested_here() -> None:
    assert set(FIRES) == {rule.name for rule in DECOMPOSE}


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in FIRES.items() for text in texts])
def test_the_rule_fires_and_keeps_its_contract(name: str, text: str) -> None:
    rule, model = named(name), load(text)
    graph = Graph(load(text))
    before = onnx.printer.to_text(graph.to_model())
    root = next(node for node in graph.nodes if node.kind in rule.operators)
    proposal = rule.propose(graph, root)
    assert isinstance(proposal, Replacement)
    assert {node.kind for node in proposal.nodes} <= set(rule.emits)
    assert onnx.printer.to_text(graph.to_model()) == before, "a proposal changes nothing"
    graph.replace(root, proposal.nodes, proposal.outputs)
    after = emitted(graph)

    @settings(max_examples=8)
    @given(st.integers(0, 999), st.sampled_from([0.3, 3.0]))
    def check(seed: int, scale: float) -> None:
        fed, other = feeds(model, seed, scale), feeds(model, seed + 1, scale)
        befores, afters, moved = run(model, fed), run(after, fed), run(after, other)
        for before, ours in zip(befores, afters, strict=True):
            if rule.contract.kind == "exact":
                np.testing.assert_array_equal(before, ours)
            else:
                assert np.abs(before - ours).max() <= 3e-5 * max(1.0, np.abs(before).max(), scale)
        assert any(not np.array_equal(a, b) for a, b in zip(afters, moved, strict=True))

    check()


@pytest.mark.parametrize(("name", "text"), STAYS.items())
def test_a_near_miss_is_left_alone(name: str, text: str) -> None:
    rules = [rule for rule in DECOMPOSE if rule.name == name or rule.name.startswith(f"{name}_")] or list(DECOMPOSE)
    graph = Graph(infer(parse(text, opset=21, ir=10)))
    assert not any(decision.taken for decision in apply(graph, rules))


def retyped(text: str, element: int) -> onnx.ModelProto:
    """The model with every fp32 tensor in another dtype."""
    model = parse(text, opset=24, ir=10)
    for value in (*model.graph.input, *model.graph.output):
        if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT:
            value.type.tensor_type.elem_type = element
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            array = onnx.numpy_helper.to_array(tensor).astype(onnx.helper.tensor_dtype_to_np_dtype(element))
            tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))
    return infer(model)


@pytest.mark.parametrize("element", [onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE, onnx.TensorProto.BFLOAT16])
@pytest.mark.parametrize("name", FIRES)
def test_the_dtype_of_the_input_is_kept(name: str, element: int) -> None:
    """Constants are written in the dtype of x, so the model stays typed; the checker is strict about it."""
    graph = Graph(retyped(FIRES[name][0], element))
    before = [graph.tensor(name).dtype for name in graph.outputs]
    assert any(decision.taken for decision in apply(graph, [named(name)]))
    emitted(graph)
    assert [graph.tensor(name).dtype for name in graph.outputs] == before


def test_half_precision_normalisation_computes_its_statistics_in_full() -> None:
    text = one("y = LayerNormalization<epsilon=1e-12>(x, v)", LAYER)
    model = retyped(text, onnx.TensorProto.FLOAT16)
    graph = Graph(retyped(text, onnx.TensorProto.FLOAT16))
    apply(graph, [named("layernorm_div")])
    fed = feeds(model, 3, 4000.0)
    (before,), (after,) = run(model, fed), run(emitted(graph), fed)
    assert np.abs(fed["x"]).max() > 256, "squares overflow fp16"
    assert np.isfinite(after).all()
    assert np.abs(before.astype(float) - after).max() < 1e-2


def test_names_are_unique_and_facts_agree_with_the_rules() -> None:
    names = [rule.name for rule in (*SUBSTITUTE, *SIMPLIFY)]
    assert len(names) == len(set(names))
    for fact in facts():
        rules = [rule for root in fact.matches for rule in family(fact.name, root)]
        assert rules
        emits = {kind for other in facts() if other.name == fact.name and set(fact.matches) & set(other.matches) for kind in other.emits}
        assert {kind for rule in rules for kind in rule.emits} <= emits
    assert {fact.error for fact in facts() if fact.name == "relu_tanh"} == {3.03e-06}
    with pytest.raises(KeyError):
        family("no_such_rule")


@pytest.mark.parametrize(
    ("name", "text", "opset"),
    [
        ("layernorm_div", FIRES["layernorm_div"][0], 17),
        ("pool_mean", FIRES["pool_mean"][0], 13),
        ("sum_mean", FIRES["sum_mean"][0], 13),
        ("hardswish_clip", FIRES["hardswish_clip"][0], 14),
        ("gemm_matmul", FIRES["gemm_matmul"][1], 11),
    ],
)
def test_below_opset_18_the_old_forms_are_written(name: str, text: str, opset: int) -> None:
    """ReduceMean takes its axes as an attribute there, ReduceSum from 13 on as an input."""
    model, graph = load(text, opset), Graph(load(text, opset))
    assert any(decision.taken for decision in apply(graph, [named(name)]))
    fed = feeds(model, 1)
    np.testing.assert_allclose(run(model, fed)[0], run(emitted(graph), fed)[0], rtol=1e-4, atol=1e-4)


def test_golden_texts(golden: Golden) -> None:
    """How each decomposition is written, as ONNX text."""
    texts = []
    for name in FIRES:
        rule, graph = named(name), Graph(load(FIRES[name][0]))
        root = next(node for node in graph.nodes if node.kind in rule.operators)
        proposal = rule.propose(graph, root)
        assert isinstance(proposal, Replacement)
        lines = [onnx.printer.to_text(node.to_proto()).strip() for node in proposal.nodes]
        texts.append("\n".join([f"# {name}: {rule.summary}", onnx.printer.to_text(root.to_proto()).strip(), "->", *lines, ""]))
    text = "\n".join(texts)
    golden("decompose.txt", text)


@pytest.mark.parametrize(
    ("rule", "call"),
    [
        (rule, call)
        for rule, calls in {"extreme_clip": ("Max(x, inf)", "Min(inf, x)"), "clip_minmax": ("Clip(x, inf)", "Clip(x, inf, inf)")}.items()
        for call in calls
    ],
)
def test_an_infinite_bound_is_no_missing_one(rule: str, call: str) -> None:
    """Clip's own bounds are finite, and a lower bound of ∞ leaves nothing of x."""
    graph = Graph(infer(parse(f"g (float[2] x) => (float[2] y) <float inf = {{inf}}> {{ y = {call} }}", opset=18)))
    assert not any(decision.taken for decision in apply(graph, [named(rule)]))
