"""`--bucket decode`: the sizes that a target's `shapes` block names."""

from __future__ import annotations

from ...targets.model import Bucket, Target
from ..errors import UsageError, did_you_mean


def bucket_shapes(target: Target, wanted: str) -> dict[str, int]:
    """Sizes by dim of "decode", or of "prefill=64" where the bucket has several sizes to choose from. Raises UsageError."""
    name, _, size = wanted.partition("=")
    bucket = next((bucket for bucket in target.shapes if bucket.name == name), None)
    if bucket is None:
        known = did_you_mean(name, [bucket.name for bucket in target.shapes])
        help = known or f"'{target.name}' has no `shapes` block; write --shape seq=1"
        raise UsageError(f"the target '{target.name}' has no shape bucket '{name}'", where=f"--bucket {wanted}", help=help)
    choices = [str(number) for _, sizes in bucket.sizes if len(sizes) > 1 for number in sizes]
    if size and size not in choices:
        said = f"choose of {', '.join(choices)}" if choices else f"write --bucket {name}"
        raise UsageError(f"the bucket '{name}' has no size {size} to choose", where=f"--bucket {wanted}", help=said)
    if choices and not size:
        help = " or ".join(f"--bucket {name}={choice}" for choice in choices)
        raise UsageError(f"the bucket '{name}' has several sizes", where=f"--bucket {wanted}", help=help)
    return {dim: int(size) if len(sizes) > 1 else sizes[0] for dim, sizes in bucket.sizes}


def bucket_flags(target: Target) -> str:
    """Every choice there is: "--bucket decode, --bucket prefill=16 (seq 16) …"; "" where the target names none."""
    return ", ".join(f"--bucket {flag}" for bucket in target.shapes for flag in _flags(bucket))


def _flags(bucket: Bucket) -> list[str]:
    choices = [number for _, sizes in bucket.sizes if len(sizes) > 1 for number in sizes]
    return [f"{bucket.name}={choice}" for choice in choices] or [bucket.name]
