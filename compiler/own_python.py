"""How another Python process of ours is started: it imports what is installed, and nothing from the current folder, where a file
`random.py` or a folder `onnx` may lie beside the model."""

from __future__ import annotations

import sys

PYTHON = (sys.executable, "-P")
