"""Losses over classes on axis 1."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .activation import log_softmax_of
from .call import Call, Kernel, Value


def _loss(logarithms: Value, target: Value, weight: Value, call: Call) -> Value:
    """-weight[t] · log p[t], reduced; a target equal to ignore_index has weight 0."""
    ignored = call.attributes.get("ignore_index")
    counted = np.ones(target.shape, bool) if ignored is None else target != ignored
    safe = np.where(counted, target, 0)
    weights = (np.ones(target.shape) if weight is None else np.take(weight, safe)) * counted
    picked = np.take_along_axis(logarithms, np.expand_dims(safe, 1), 1).squeeze(1)
    loss = np.where(counted, -picked * weights, 0.0)
    reduction = call.attributes.get("reduction", "mean")
    if reduction == "none":
        return loss
    return np.asarray(loss.sum() / weights.sum() if reduction == "mean" else loss.sum())


def negative_log_likelihood(call: Call) -> tuple[Value, ...]:
    return (_loss(call.inputs[0], call.inputs[1], call.input(2), call),)


def softmax_cross_entropy(call: Call) -> tuple[Value, ...]:
    """Also the logarithms of the probabilities."""
    logarithms = log_softmax_of(call.inputs[0], 1)
    return _loss(logarithms, call.inputs[1], call.input(2), call), logarithms


KERNELS: Mapping[str, Kernel] = {
    "NegativeLogLikelihoodLoss": negative_log_likelihood,
    "SoftmaxCrossEntropyLoss": softmax_cross_entropy,
}
