"""Shows a screenshot to the bundle of a phone agent (image encoder, table of words, decoder), and prints the tokens that it answers.

python examples/phone_agent.py BUNDLE [TOKENS]

The bundle is made by one command, which README.md shows. Screenshot and prompt are made up here: put yours in their place.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

import autoglmc

BEFORE, AFTER = [11, 7, 2], [5, 23, 9, 1, 4]
"""The prompt: ids of tokens in front of the image and behind it."""
PLACEHOLDER = -1
"""What stands in the prompt for the image: no id of a token."""


def main(folder: Path, wanted: int = 20) -> None:
    bundle = autoglmc.Bundle.load(folder)
    agent = bundle.session(emulate=True)  # every entry loaded, all in one arena
    count, numbers = bundle.entry("vision").manifest.model.inputs[0].shape or ()
    patches = patches_of(screenshot(), count, numbers)
    prompt = [*BEFORE, PLACEHOLDER, *AFTER]  # the image's rows go where the placeholder is, written where the decoder reads them
    print(*agent.generate(prompt, images=[patches], image_token=PLACEHOLDER, max_tokens=wanted))
    copied = sum(link.copied for link in bundle.manifest.links)
    print(f"{agent.length} tokens in the caches; bytes copied between models: {copied}")


def screenshot(width: int = 1080, height: int = 2400) -> np.ndarray:
    """Coarse blobs with some noise, uint8 [height, width, 3]."""
    draw = np.random.default_rng(0)
    blobs = draw.integers(0, 256, (height // 120, width // 120, 3)).repeat(120, axis=0).repeat(120, axis=1)
    return np.clip(blobs + draw.normal(0, 8, blobs.shape), 0, 255).astype(np.uint8)


def patches_of(image: np.ndarray, count: int, numbers: int) -> np.ndarray:
    """float32 [count, numbers]: the image made square and small, cut into patches; those of a square of four stand together, as the encoder
    merges them. Every patch is there twice, as two frames of a film would be."""
    side, edge = int(count**0.5), int((numbers // 6) ** 0.5)
    lines, columns = (np.linspace(0, size - 1, side * edge).astype(int) for size in image.shape[:2])
    small = image[lines][:, columns].transpose(2, 0, 1) / 127.5 - 1  # [3, side · edge, side · edge]
    cut = small.reshape(3, side // 2, 2, edge, side // 2, 2, edge)
    together = cut.transpose(1, 4, 2, 5, 0, 3, 6)[:, :, :, :, :, None].repeat(2, axis=5)
    return together.reshape(count, numbers).astype(np.float32)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]), *map(int, sys.argv[2:3]))
