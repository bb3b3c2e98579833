"""The smallest model that shows whether LiteRT can be bound: y = max(x, 0) on a tensor of rank 4."""

from __future__ import annotations

SHAPE = (1, 2, 3, 4)
INPUT, OUTPUT = "x", "y"


def tiny_model() -> bytes:
    """A .tflite file of 448 bytes."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.RELU
    relu = schema.OperatorT()
    relu.inputs, relu.outputs = [0], [1]
    graph, model, signature = schema.SubGraphT(), schema.ModelT(), schema.SignatureDefT()
    graph.tensors, graph.inputs, graph.outputs, graph.operators = [_tensor(INPUT), _tensor(OUTPUT)], [0], [1], [relu]
    signature.signatureKey, signature.inputs, signature.outputs = "serving_default", [_named(INPUT, 0)], [_named(OUTPUT, 1)]
    model.version, model.buffers, model.operatorCodes = 3, [schema.BufferT()], [code]
    model.subgraphs, model.signatureDefs = [graph], [signature]
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _tensor(name: str) -> object:
    from ai_edge_litert.schema_py_generated import TensorT

    made = TensorT()
    made.name, made.shape = name, list(SHAPE)
    return made


def _named(name: str, tensor: int) -> object:
    from ai_edge_litert.schema_py_generated import TensorMapT

    made = TensorMapT()
    made.name, made.tensorIndex = name, tensor
    return made
