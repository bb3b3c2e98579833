"""What onnxruntime's CPU leaves out when it prepares a segment: graph optimisers by name, or those above a level.

`InferenceSession(disabled_optimizers=…)` takes the names of graph transformers and of single rewrite rules, and passes over a name that it
does not know. The names are those that onnxruntime 1.32 writes into its log ("GraphTransformer X modified: …"); its rules, which the log
does not tell apart, are those of its graph_transformer_utils.cc.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Optimisation = Literal["all", "extended", "basic", "off"]
"""The highest level that runs: layout and below, extended and below, basic alone, none."""
LEVELS: tuple[Optimisation, ...] = get_args(Optimisation)
BASIC = (
    "EliminateIdentity", "EliminateSlice", "UnsqueezeElimination", "EliminateDropout", "ExpandElimination", "CastElimination",
    "CastChainElimination", "PreShapeNodeElimination", "NoopElimination", "DivMulFusion", "FuseReluClip", "GemmSumFusion",
    "GemmTransposeFusion", "NotWhereFusion", "ConvAddFusion", "ConvMulFusion", "ConvBNFusion", "Pad_Fusion",
    "MatMul_BatchNormalization_Fusion", "LabelEncoderFusion", "DoubleQDQPairsRemover", "ConstantSharing",
    "CommonSubexpressionElimination", "ConstantFolding", "MatMulAddFusion", "ReshapeFusion", "FreeDimensionOverrideTransformer",
    "SliceConcatToSpaceToDepthFusion", "GeluFusionL1", "LayerNormFusionL1", "QDQPropagationTransformer", "WeightBiasQuantization",
    "EnsureUniqueDQForNodeUnit", "WhereDummyDq", "RocmBlasAltImpl", "TransposeOptimizer",
)  # fmt: skip
EXTENDED = (
    "ClipQuantRewrite", "ReluQuantRewrite", "TransposeOptimizer_CPUExecutionProvider", "QDQS8ToU8Transformer",
    "QDQSelectorActionTransformer", "GemmActivationFusion", "MatMulIntegerToFloatFusion", "DynamicQuantizeMatMulFusion",
    "ConvActivationFusion", "GeluFusionL2", "LayerNormFusionL2", "SimplifiedLayerNormFusion", "AttentionFusion", "EmbedLayerNormFusion",
    "GatherSliceToSplitFusion", "GatherToSliceFusion", "MatmulTransposeFusion", "BiasGeluFusion", "GroupQueryAttentionFusion",
    "SkipLayerNormFusion", "BiasSkipLayerNormFusion", "FastGeluFusion", "QuickGeluFusion", "SwiGluFusion", "GeluApproximation",
    "BiasSoftmaxFusion", "BiasDropoutFusion", "MatMulScaleFusion", "MatMulActivationFusion", "Avx2WeightS8ToU8Transformer",
    "MatMulNBitsFusion", "DQMatMulNBitsFusion", "MatMulNBitsMlpFusion", "MatMulNBitsQkvFusion", "MatMulNBitsQLoRAFusion",
    "GroupQueryAttentionPreNormFusion", "GqaValueLayoutTransformer", "QDQFinalCleanupTransformer",
)  # fmt: skip
LAYOUT = ("NchwcTransformer", "NhwcTransformer", "ConvAddActivationFusion")
OPTIMISERS = (*BASIC, *EXTENDED, *LAYOUT)
"""In the order in which they run."""


@dataclass(frozen=True, slots=True)
class OrtSettings:
    optimisation: Optimisation = "all"
    optimizers_off: tuple[str, ...] = ()
    """Names out of OPTIMISERS."""


DEFAULT = OrtSettings()
OFF = OrtSettings("off")
