"""autoglmc compiles an ONNX model for the devices of one machine.

>>> bundle = autoglmc.compile("model.onnx", "a16", shapes={"batch": 1})
>>> outputs = bundle.run({"x": x})

Everything is imported on first use, so that `import autoglmc` costs nothing. Imports here are absolute: pytest runs this
file a second time under another name.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autoglmc.compiler.driver.compile_model import compile
    from autoglmc.compiler.hw.load_target import load_target
    from autoglmc.compiler.run.bundle import Bundle
    from autoglmc.compiler.surgery.rewrite import rewrite
    from autoglmc.compiler.surgery.user_pass import UserPass

__all__ = ["Bundle", "UserPass", "compile", "load_target", "rewrite"]

_HOMES = {
    "Bundle": "autoglmc.compiler.run.bundle",
    "compile": "autoglmc.compiler.driver.compile_model",
    "load_target": "autoglmc.compiler.hw.load_target",
    "rewrite": "autoglmc.compiler.surgery.rewrite",
    "UserPass": "autoglmc.compiler.surgery.user_pass",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'autoglmc' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
