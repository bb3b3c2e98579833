"""The operators of a .tflite file, as its schema names them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class FileOperator:
    """One operator; its number is its place in the file."""

    code: str
    """ "CONV_2D"."""
    writes: tuple[str, ...]
    """Names of its outputs."""
    reads: tuple[str, ...] = ()
    """Names of its operands, constants among them."""


def operators_in(content: Any) -> tuple[FileOperator, ...]:
    """Those of the first graph. `content`: the bytes of a whole file."""
    from ai_edge_litert.schema_py_generated import BuiltinOperator, Model

    names = {number: name for name, number in vars(BuiltinOperator).items() if isinstance(number, int)}
    model = Model.GetRootAs(content, 0)
    graph = model.Subgraphs(0)
    found = []
    for operator in map(graph.Operators, range(graph.OperatorsLength())):
        code = model.OperatorCodes(operator.OpcodeIndex())
        written = [graph.Tensors(operator.Outputs(k)).Name().decode() for k in range(operator.OutputsLength())]
        read = [graph.Tensors(operator.Inputs(k)).Name().decode() for k in range(operator.InputsLength()) if operator.Inputs(k) >= 0]
        number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        found.append(FileOperator(names.get(number, str(number)), tuple(written), tuple(read)))
    return tuple(found)
