"""Every rule there is, by the stage that uses it. Where the order in a stage matters, the rules say so (Rewrite.before)."""

from __future__ import annotations

from collections.abc import Mapping

from ..targets.rule_spec import RuleFacts
from .decompose.activation import ACTIVATIONS
from .decompose.arithmetic import ARITHMETIC
from .decompose.attention import ATTENTION_SOFTMAX
from .decompose.casts import CAST_BOOL
from .decompose.einsum import EINSUM_MATMUL
from .decompose.expand import EXPANSIONS
from .decompose.grid_sample import GRID_SAMPLE_GATHER
from .decompose.groupnorm import GROUPNORM_INSTANCE
from .decompose.indices import GATHER_FROM_START
from .decompose.lower_rank import LOWER_RANK
from .decompose.normalization import NORMALIZATIONS
from .decompose.pool import POOLS
from .decompose.quantisation import QUANTISATION
from .decompose.reshape_convolution import CONVOLUTION
from .decompose.reshape_matmul import MATRIX
from .decompose.rotary import ROTARY_SLICES
from .decompose.scatter import SCATTER_WHERE
from .decompose.shape import SHAPES
from .decompose.shuffle_filters import SHUFFLE_FILTERS
from .decompose.space_to_depth import SHUFFLES
from .decompose.weights_alone import WEIGHTS_ALONE
from .recover.attention import FUSE_ATTENTION, RECOVER_ATTENTION
from .recover.attention_with_past import WRITE_PAST
from .recover.contrib import RECOVER_CONTRIB_GELU, RECOVER_QUICKGELU, RECOVER_SKIP
from .recover.gelu import RECOVER_GELU, RECOVER_GELU_TANH
from .recover.groupnorm import RECOVER_GROUPNORM
from .recover.lpnorm import RECOVER_LPNORM
from .recover.normalization import RECOVER_INSTANCENORM, RECOVER_LAYERNORM, RECOVER_RMSNORM
from .recover.prelu import RECOVER_LEAKYRELU, RECOVER_PRELU
from .recover.rotary import FUSE_ROTARIES, RECOVER_ROTARIES
from .recover.softmax import RECOVER_SHIFTED_SOFTMAX, RECOVER_SOFTMAX
from .recover.softplus import RECOVER_LOGSOFTMAX, RECOVER_MISH, RECOVER_SOFTPLUS
from .recover.space_to_depth import RECOVER_DEPTH_TO_SPACE, RECOVER_FOCUS, RECOVER_SPACE_TO_DEPTH
from .recover.swish import RECOVER_HARDSIGMOID, RECOVER_HARDSIGMOID_FIFTH, RECOVER_HARDSWISH, RECOVER_SWISH
from .recover.turned_heads import RECOVER_TURNED_HEADS
from .rule.order import in_order
from .rule.rewrite import Rewrite
from .simplify.coarse_masks import COARSE_MASKS
from .simplify.fold_batchnorm import FOLD_BATCHNORM, FOLD_CHANNELWISE
from .simplify.fold_channels_last import FOLD_CHANNELS_LAST
from .simplify.fold_pad import FOLD_PAD
from .simplify.fold_product import FOLD_PRODUCT
from .simplify.global_pool import GLOBAL_POOLS
from .simplify.merge_reshape import MERGE_SHAPING, MERGES
from .simplify.remove_identity import REMOVALS
from .simplify.remove_requantize import REMOVE_REQUANTIZE
from .simplify.sign_of_scale import SIGN_OF_SCALE
from .substitute.gelu import GELU_ERF, RELU_TANH, SIGMOID, TANH
from .substitute.gelu_relu import RELU
from .substitute.gelu_table import GELU_TABLE
from .tune.activations import VECTOR_ACTIVATIONS
from .tune.broadcast import BROADCAST
from .tune.closed_rows import KEEP_ROWS
from .tune.flatten_attention import FLATTEN_ATTENTION
from .tune.flatten_rows import FLATTEN
from .tune.fold_bias import FOLD_BIAS
from .tune.local_response import LOCAL_RESPONSE
from .tune.packed_weights import MATMUL_BITS
from .tune.plain_weights import PLAIN_WEIGHTS
from .tune.softmax_axes import SOFTMAX

PAST_GRIDS: tuple[Rewrite, ...] = (RECOVER_GELU, RECOVER_GELU_TANH)
"""Rules of RECOVER that also look for formulas which were quantised operator by operator: functions of one element. Not normalisations,
though they are found: on inputs beyond those that the grids were made for the grid of a variance ends, and another function is left."""
RECOVER: tuple[Rewrite, ...] = in_order(
    RECOVER_LAYERNORM,
    RECOVER_INSTANCENORM,
    RECOVER_RMSNORM,
    RECOVER_LPNORM,
    RECOVER_GELU,
    RECOVER_GELU_TANH,
    RECOVER_SWISH,
    RECOVER_HARDSWISH,
    RECOVER_HARDSIGMOID_FIFTH,
    RECOVER_HARDSIGMOID,
    RECOVER_MISH,
    RECOVER_SOFTPLUS,
    RECOVER_SOFTMAX,
    RECOVER_SHIFTED_SOFTMAX,
    RECOVER_LOGSOFTMAX,
    RECOVER_PRELU,
    RECOVER_LEAKYRELU,
    RECOVER_GROUPNORM,
    RECOVER_CONTRIB_GELU,
    RECOVER_QUICKGELU,
    *RECOVER_SKIP,
    RECOVER_FOCUS,
    RECOVER_SPACE_TO_DEPTH,
    RECOVER_DEPTH_TO_SPACE,
)
OFFER: tuple[Rewrite, ...] = in_order(*RECOVER_ROTARIES, RECOVER_TURNED_HEADS, RECOVER_ATTENTION)
"""Recovered only where a device runs the operator and the whole is faster with it."""
EXTENDING: tuple[Rewrite, ...] = (WRITE_PAST,)
"""Operators that extend caches as their steps, where a decoder is edited (passes/state)."""
WRITTEN_OUT: tuple[Rewrite, ...] = in_order(ATTENTION_SOFTMAX, ROTARY_SLICES)
"""Operators of OFFER as what any device may run, where they have been recovered to be edited."""
SPELLED_OUT: tuple[Rewrite, ...] = in_order(*WRITTEN_OUT, EINSUM_MATMUL, GRID_SAMPLE_GATHER, SCATTER_WHERE, SHUFFLE_FILTERS)
"""Operators that stand for several, as the several, for formats that lack them, or have them in another order of channels."""
IN_FLOATS: tuple[Rewrite, ...] = in_order(*QUANTISATION)
"""A quantised model for devices that compute in floats, where the whole is faster so."""
BESIDE_FLOATS: tuple[Rewrite, ...] = in_order(*WEIGHTS_ALONE)
"""A quantised model for devices that compute in floats beside weights in integers, where the whole is faster so."""
ON_FEWER_AXES: tuple[Rewrite, ...] = (LOWER_RANK,)
"""For devices with a limit on the rank, where the whole is faster so."""
SIMPLIFY: tuple[Rewrite, ...] = in_order(
    *REMOVALS,
    REMOVE_REQUANTIZE,
    COARSE_MASKS,
    SIGN_OF_SCALE,
    *MERGES,
    FOLD_BATCHNORM,
    FOLD_CHANNELWISE,
    FOLD_CHANNELS_LAST,
    FOLD_PRODUCT,
    FOLD_PAD,
    *GLOBAL_POOLS,
)
FUSED_BY_ORT = (*(rule for rule in ACTIVATIONS if rule.name == "swish_sigmoid"), GROUPNORM_INSTANCE)
"""Operators without a kernel in onnxruntime's CPU, which fuses the one and expands the other into more."""
FUSED_FOR_ORT = (*FUSE_ROTARIES, FUSE_ATTENTION, FLATTEN_ATTENTION)
"""What onnxruntime's CPU runs faster as one operator, if the target lets its device run it."""
SLOW_IN_ORT = (*SOFTMAX, *BROADCAST, *VECTOR_ACTIVATIONS, LOCAL_RESPONSE, MATMUL_BITS, PLAIN_WEIGHTS)
"""Where onnxruntime's CPU has a kernel that takes several times as long as another spelling."""
TUNE: Mapping[str, tuple[Rewrite, ...]] = {
    "ort": in_order(*REMOVALS, *MERGES, MERGE_SHAPING, *FUSED_BY_ORT, *FUSED_FOR_ORT, *SLOW_IN_ORT, KEEP_ROWS, *FLATTEN)
}
"""By runtime, what is done to a segment once it is cut, for that runtime only."""
ROWS: tuple[Rewrite, ...] = in_order(*REMOVALS, *MERGES, MERGE_SHAPING, *FLATTEN)
"""Of these, what brings products and the sums of their biases into the form that has a kernel of integers: Gemm on rows."""
REPEATED = frozenset({KEEP_ROWS.name})
"""Rules of TUNE that write the same in front of several layers."""
FOLLOW: Mapping[str, tuple[Rewrite, ...]] = {
    "matmul_gemm": (FOLD_BIAS,),
    "matmul_2d_gemm": (FOLD_BIAS,),
    "gelu_table": (REMOVE_REQUANTIZE,),
}
"""By the rule that an operator of a device is rewritten by, what is done to the device's segments too."""
GELU = (*SIGMOID, *TANH, *RELU_TANH, *RELU, GELU_TABLE)
PRODUCTS = {
    "gemm": tuple(rule for rule in (*MATRIX, *CONVOLUTION) if "Gemm" in rule.emits),
    "conv": tuple(rule for rule in CONVOLUTION if "Conv" in rule.emits),
    "matmul": tuple(rule for rule in (*MATRIX, *CONVOLUTION) if "MatMul" in rule.emits),
}
"""One matrix product as another operator: `rewrite MatMul -> gemm`, `rewrite Conv -> matmul`."""
FAMILIES = {"relu_tanh": RELU_TANH, "tanh": TANH, "sigmoid": SIGMOID, "relu": RELU, "gelu": GELU, **PRODUCTS}
"""Forms that a `rewrite` line may choose from by a common name; "gelu" is every form of it."""
DECOMPOSE: tuple[Rewrite, ...] = (
    GELU_ERF,
    *NORMALIZATIONS,
    GROUPNORM_INSTANCE,
    ATTENTION_SOFTMAX,
    ROTARY_SLICES,
    *ACTIVATIONS,
    *ARITHMETIC,
    CAST_BOOL,
    EINSUM_MATMUL,
    GRID_SAMPLE_GATHER,
    SCATTER_WHERE,
    SHUFFLE_FILTERS,
    GATHER_FROM_START,
    *EXPANSIONS,
    *SHAPES,
    *POOLS,
    *SHUFFLES,
    *MATRIX,
    *CONVOLUTION,
)
SUBSTITUTE: tuple[Rewrite, ...] = (*GELU, *DECOMPOSE)


def every_rule() -> tuple[Rewrite, ...]:
    """Each once, in the order of the stages that use them."""
    tuning = (rule for rules in (*TUNE.values(), *FOLLOW.values()) for rule in rules)
    return tuple(
        {
            rule.name: rule
            for rule in (*RECOVER, *OFFER, *EXTENDING, *SIMPLIFY, *IN_FLOATS, *BESIDE_FLOATS, *ON_FEWER_AXES, *SUBSTITUTE, *tuning)
        }.values()
    )


def named(name: str) -> Rewrite:
    """The rule of that name; KeyError if there is none."""
    for rule in every_rule():
        if rule.name == name:
            return rule
    raise KeyError(name)


def family(name: str, operator: str | None = None) -> tuple[Rewrite, ...]:
    """The forms a `rewrite Op -> name` line may choose from, each kind of form cheapest first: a family, "decompose" (every exact or
    reassociating rule for the operator), or one rule by its own name. KeyError if there is nothing of that name."""
    if name == "decompose":
        rules = DECOMPOSE
    else:
        rules = FAMILIES[name] if name in FAMILIES else (named(name),)
    return tuple(rule for rule in rules if operator is None or operator in rule.operators)


def facts() -> tuple[RuleFacts, ...]:
    """What the .hw checker may know: one entry per name that `family` takes; "decompose" has one per operator."""
    found = [
        _facts(name, tuple(rule for rule in rules if rule is not GELU_TABLE)) for name, rules in FAMILIES.items() if name not in PRODUCTS
    ]
    found += [
        _facts(name, family(name, root), (root,))
        for name, rules in PRODUCTS.items()
        for root in sorted({rule.operators[0] for rule in rules})
    ]
    found.append(_facts("gelu", (GELU_TABLE,)))
    found += [_facts(rule.name, (rule,)) for rule in SUBSTITUTE if rule.name not in FAMILIES]
    roots = dict.fromkeys(root for rule in DECOMPOSE for root in rule.operators)
    return (*found, *(_facts("decompose", family("decompose", root), (root,)) for root in roots))


def _facts(name: str, rules: tuple[Rewrite, ...], matches: tuple[str, ...] = ()) -> RuleFacts:
    roots = tuple(dict.fromkeys(root for rule in rules for root in rule.operators))
    emits = tuple(dict.fromkeys(kind for rule in rules for kind in rule.emits))
    bounded = [rule.contract.absolute for rule in rules if rule.contract.kind == "bounded"]
    return RuleFacts(name=name, matches=matches or roots, emits=emits, error=min(bounded, default=0.0))
