"""What measured models are called: by their files, with as much of the folders as tells them apart."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def case_names(models: Sequence[Path]) -> tuple[str, ...]:
    """ "resnet18"; "bert/model" and "vit/model" where exporters call every file model.onnx. Different files, different names."""
    parts = [(*model.resolve().parent.parts, model.stem) for model in models]
    return tuple(_shortest(mine, [other for k, other in enumerate(parts) if k != number]) for number, mine in enumerate(parts))


def _shortest(mine: tuple[str, ...], others: Sequence[tuple[str, ...]]) -> str:
    for count in range(1, len(mine)):
        if not any(other[-count:] == mine[-count:] for other in others):
            return "/".join(mine[-count:])
    return "/".join(mine)
