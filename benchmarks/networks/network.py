"""One network of the prediction benchmark."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import onnx

ROOT = Path(__file__).resolve().parents[2]
MADE = Path(os.environ.get("AUTOGLMC_CACHE") or ROOT / ".cache") / "networks"


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A model at fixed sizes, made from a seed or fetched."""

    name: str
    """Unique: "resnet18_224"."""
    network: str
    """What a split keeps on one side: a network at two sizes is one."""
    family: str
    make: Callable[[], onnx.ModelProto] | None = None
    """Makes the model, the same bytes each time; None where it is fetched."""
    fetch: Callable[[], Path] | None = None
    """The path of a fetched model, downloaded if it is not there yet."""
    shapes: tuple[str, ...] = ()
    """What binds its open dims, each as `--shape` takes it: "x=1x3x224x224", "sequence=32"."""

    def model(self) -> onnx.ModelProto:
        """The model itself."""
        return self.make() if self.make is not None else onnx.load(self.path())

    def path(self) -> Path:
        """A file with the model: fetched, or made once for each version of this package."""
        if self.make is None:
            assert self.fetch is not None
            return self.fetch()
        path = MADE / f"{self.name}-{sources()}.onnx"
        if not path.exists():
            MADE.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(f".{os.getpid()}")
            part.write_bytes(self.make().SerializeToString(deterministic=True))
            part.replace(path)
            for old in MADE.glob(f"{self.name}-????????.onnx"):
                if old != path:
                    old.unlink(missing_ok=True)
        return path


@cache
def sources() -> str:
    """A digest of what makes the networks."""
    texts = [path.read_bytes() for path in sorted(Path(__file__).parent.rglob("*.py"))]
    return hashlib.sha256(b"\0".join(texts)).hexdigest()[:8]
