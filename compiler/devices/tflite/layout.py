"""Which nodes work on tensors stored channels last: decided once for the whole graph, before anything is emitted.

LiteRT's convolutions, pools and resizes read and write NHWC; products of matrices and most reshapes need the order of ONNX; all others take
either. A tensor is transposed where its writer and one of its readers differ, once for all such readers. The cheapest division is a
minimum cut: a side for each order, and for each tensor an edge of what turning it costs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .order import Order, before_reshape, before_transpose, blocks_of, channels_last, moves_data, plain, same_bytes, turn

if TYPE_CHECKING:
    import onnx

LAST = frozenset({
    "AveragePool", "Conv", "ConvTranspose", "DepthToSpace", "LRN", "LpPool", "MaxPool", "Resize", "SpaceToDepth", "Upsample",
})  # fmt: skip
EITHER = frozenset({
    "Abs", "Add", "And", "ArgMax", "ArgMin", "BatchNormalization", "Cast", "Ceil", "Celu", "Clip", "Concat", "Cos", "CumSum",
    "DequantizeLinear", "Div", "Dropout", "Elu", "Equal", "Erf", "Exp", "Expand", "Flatten", "Floor", "Gather", "Gelu", "GlobalAveragePool",
    "GlobalMaxPool", "Greater", "GreaterOrEqual", "GroupNormalization", "HardSigmoid", "HardSwish", "Identity", "InstanceNormalization",
    "LayerNormalization", "LeakyRelu", "Less", "LessOrEqual", "Log", "LogSoftmax", "LpNormalization", "Max", "Mean", "Min", "Mish", "Mod",
    "Mul", "Neg", "Not", "Or", "PRelu", "Pad", "Pow", "QuantizeLinear", "Reciprocal", "ReduceL1", "ReduceL2", "ReduceLogSum",
    "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare", "Relu", "Reshape",
    "RMSNormalization", "Round", "Selu", "Sigmoid", "Sign", "Sin", "Slice", "Softmax", "Softplus", "Softsign", "Split", "Sqrt", "Squeeze",
    "Sub", "Sum", "Swish", "Tan", "Tanh", "ThresholdedRelu", "Tile", "Transpose", "Unsqueeze", "Where", "Xor",
})  # fmt: skip
RESHAPES = frozenset({"Flatten", "Reshape", "Squeeze", "Unsqueeze"})
SPLIT_RANKS = range(3, 7)
LAUNCH = 4096
"""What a transpose costs besides its elements, in elements."""
ON_LAST_AXIS = frozenset({"Softmax", "LogSoftmax"})
"""Where LiteRT's kernel works along the last stored axis only."""
PLAIN, CHANNELS_LAST = "plain", "channels last"


@dataclass(frozen=True, slots=True)
class Layout:
    """`last`: numbers of the nodes that work channels last; `channel_axes`: tensors of which several axes are channels."""

    last: frozenset[int]
    channel_axes: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class GraphFacts:
    """What is decided about. `columns`: numbers of Reshapes whose readers are products that can take their columns in any order."""

    nodes: Sequence[onnx.NodeProto]
    inputs: Sequence[str]
    outputs: Sequence[str]
    shapes: Mapping[str, tuple[int, ...]]
    constants: Mapping[str, Any]
    columns: Collection[int] = ()
    ports_last: Collection[str] = ()


def decide_layout(graph: GraphFacts) -> Layout:
    channel_axes = _channel_axes(graph)
    sides = [_side(graph, node, number, channel_axes) for number, node in enumerate(graph.nodes)]
    _settle(graph, sides)
    return Layout(frozenset(_cut(graph, sides, channel_axes)), channel_axes)


def _rank(graph: GraphFacts, name: str) -> int:
    return len(graph.shapes.get(name, ()))


def _side(graph: GraphFacts, node: onnx.NodeProto, number: int, channel_axes: Mapping[str, int]) -> str | None:
    """Where a node must be; None where it may be on either side."""
    ranks = [_rank(graph, name) for name in (*node.input, *node.output) if name and name not in graph.constants]
    if node.op_type in LAST:
        return CHANNELS_LAST if _rank(graph, node.input[0]) in SPLIT_RANKS else PLAIN
    if node.op_type not in EITHER or max(ranks, default=0) not in SPLIT_RANKS:
        return PLAIN
    if node.op_type in RESHAPES and number not in graph.columns:
        return None if _reshapes_in_place(graph, node, channel_axes) else PLAIN
    if node.op_type == "Gather" and _rank(graph, node.input[1]) != 1 and node.input[1] not in graph.constants:
        return PLAIN
    if node.op_type == "Gather" and _rank(graph, node.input[0]) != _rank(graph, node.output[0]):
        return PLAIN
    return None


def _reshapes_in_place(graph: GraphFacts, node: onnx.NodeProto, channel_axes: Mapping[str, int]) -> bool:
    a, b = (graph.shapes.get(name) for name in (node.input[0], node.output[0]))
    if a is None or b is None or len(a) < 3 or len(b) < 3:
        return False
    before = before_reshape(blocks_of(a, b), _last(graph, node.output[0], channel_axes))
    return before is not None and same_bytes(a, before, _last(graph, node.input[0], channel_axes))


def _last(graph: GraphFacts, name: str, channel_axes: Mapping[str, int]) -> Order:
    return channels_last(_rank(graph, name), channel_axes.get(name, 1))


def _channel_axes(graph: GraphFacts) -> dict[str, int]:
    """By how many axes a Reshape replaces the channel axis, and along what follows as long as they stay together; then what a Reshape makes
    the channel axis of, which lay behind all others if nothing is to move."""
    found = _split_channels(graph)
    for node in reversed(graph.nodes):
        shape, target = graph.shapes.get(node.input[0] if node.input else ""), graph.shapes.get(node.output[0])
        if node.op_type in RESHAPES and shape and target and len(shape) >= 3 and len(target) >= 3 and node.input[0] not in found:
            whole = tuple((after, before) for before, after in blocks_of(shape, target))
            number = _channels_after(whole, set(range(1, 1 + found.get(node.output[0], 1))))
            if number != 1 and node.input[0] not in graph.inputs:
                found[node.input[0]] = number
    return found


def _split_channels(graph: GraphFacts) -> dict[str, int]:
    """Forwards alone; 0 where a reduction or a Squeeze took the channels away, so that no axis is one."""
    found: dict[str, int] = {}
    for node in graph.nodes:
        shape = graph.shapes.get(node.input[0]) if node.input else None
        target = graph.shapes.get(node.output[0])
        if shape is None or target is None or len(shape) < 3 or len(target) < 3:
            continue
        number = found.get(node.input[0], 1)
        channels = set(range(1, 1 + number))
        if node.op_type not in RESHAPES and _takes_away(graph, node, shape, target, channels):
            number = 0
        elif node.op_type in RESHAPES:
            number = _channels_after(blocks_of(shape, target), channels)
        elif node.op_type == "Transpose":
            perm = _perm(node, len(shape))
            number = number if {perm[axis] for axis in channels} == channels and perm[0] == 0 else 1
        elif len(shape) != len(target):
            continue
        if number != 1:
            found.update((name, number) for name in node.output if name)
    return found


def _takes_away(
    graph: GraphFacts, node: onnx.NodeProto, shape: tuple[int, ...], target: tuple[int, ...], channels: Collection[int]
) -> bool:
    """Whether a result has all axes but those of the channels."""
    if target != tuple(size for axis, size in enumerate(shape) if axis not in channels) or not channels:
        return False
    if node.op_type in RESHAPES:
        return all(shape[axis] == 1 for axis in channels)
    given = [tuple(a.ints) or (a.i,) for a in node.attribute if a.name in ("axes", "axis")]
    if not given and len(node.input) > 1 and node.input[1] in graph.constants:
        given = [tuple(int(axis) for axis in graph.constants[node.input[1]].reshape(-1))]
    gone = {axis % len(shape) for axes in given for axis in axes}
    return node.op_type.startswith(("Reduce", "Arg")) and gone == set(channels)


def _channels_after(blocks: Any, channels: set[int]) -> int:
    """1 where the channels are mixed with other axes."""
    inside = [block for block in blocks if set(block[0]) & channels]
    if any(not set(before) <= channels for before, _ in inside):
        return 1
    axes = sorted(axis for _, after in inside for axis in after)
    return len(axes) if axes and axes == list(range(1, 1 + len(axes))) else 1


def _perm(node: onnx.NodeProto, rank: int) -> tuple[int, ...]:
    given = next((tuple(a.ints) for a in node.attribute if a.name == "perm"), ())
    return given or tuple(reversed(range(rank)))


def _readers(graph: GraphFacts) -> Iterator[tuple[str, int]]:
    """(tensor, number of a node that reads it), Transposes left out."""
    for number, node in enumerate(graph.nodes):
        if node.op_type != "Transpose":
            yield from ((name, number) for name in dict.fromkeys(node.input) if name and name not in graph.constants)


def _follows(graph: GraphFacts, number: int, name: str) -> bool:
    """Whether a node reads a tensor in its own order; one that broadcasts to a higher rank is read plain."""
    node = graph.nodes[number]
    return _rank(graph, name) == _rank(graph, node.output[0]) or node.op_type.startswith(("Reduce", "Arg")) or node.op_type in RESHAPES


def _settle(graph: GraphFacts, sides: list[str | None]) -> None:
    """Nodes that no node with channels last is joined to stay as ONNX has them."""
    parent = list(range(len(sides)))

    def root(number: int) -> int:
        while parent[number] != number:
            parent[number] = parent[parent[number]]
            number = parent[number]
        return number

    writers = {name: number for number, node in enumerate(graph.nodes) for name in node.output if name}
    for name, number in _readers(graph):
        writer = writers.get(name)
        if writer is not None and sides[writer] != PLAIN and sides[number] != PLAIN and graph.nodes[writer].op_type != "Transpose":
            parent[root(number)] = root(writer)
    roots = {root(number) for number, side in enumerate(sides) if side == CHANNELS_LAST}
    for number, side in enumerate(sides):
        if side is None and root(number) not in roots and graph.nodes[number].op_type != "Transpose":
            sides[number] = PLAIN


def _cut(graph: GraphFacts, sides: Sequence[str | None], channel_axes: Mapping[str, int]) -> Iterator[int]:
    """Numbers of the nodes on the side of channels last."""
    import networkx

    net: Any = networkx.DiGraph()
    net.add_nodes_from((PLAIN, CHANNELS_LAST))

    def join(a: Any, b: Any, cost: int | None) -> None:
        if a == b or cost == 0:
            return
        if cost is None:
            net.add_edge(a, b)  # networkx takes an edge without a capacity as infinite
        elif net.has_edge(a, b) and "capacity" in net[a][b]:
            net[a][b]["capacity"] += cost
        elif not net.has_edge(a, b):
            net.add_edge(a, b, capacity=cost)

    for number, side in enumerate(sides):
        if side is None:
            for towards, cost in _preference(graph, graph.nodes[number]):
                a, b = (CHANNELS_LAST, number) if towards == CHANNELS_LAST else (number, PLAIN)
                join(a, b, cost)
    for name, (writer, readers) in _edges(graph, sides, channel_axes).items():
        cost = _cost(graph.shapes[name], channel_axes.get(name, 1))
        first, second = (readers[0], readers[0]) if len(readers) == 1 else (("any", name), ("all", name))
        for reader in readers if len(readers) > 1 else ():
            join(reader, first, None)
            join(second, reader, None)
        join(first, writer, cost)
        join(writer, second, cost)
    _, (reachable, _) = networkx.minimum_cut(net, CHANNELS_LAST, PLAIN)
    for number, side in enumerate(sides):
        if side == CHANNELS_LAST or (side is None and number in reachable):
            yield number


def _cost(shape: tuple[int, ...], channels: int) -> int:
    import math

    perm = turn(plain(len(shape)), channels_last(len(shape), channels))
    return LAUNCH + math.prod(shape) if moves_data(shape, perm) else 0


def _preference(graph: GraphFacts, node: onnx.NodeProto) -> Iterator[tuple[str, int]]:
    shape = graph.shapes.get(node.output[0], ())
    if node.op_type not in ON_LAST_AXIS or len(shape) < 3:
        return
    axis = next((a.i for a in node.attribute if a.name == "axis"), -1) % len(shape)
    if axis in (1, len(shape) - 1):
        yield CHANNELS_LAST if axis == 1 else PLAIN, 2 * _cost(shape, 1)


def _edges(graph: GraphFacts, sides: Sequence[str | None], channel_axes: Mapping[str, int]) -> dict[str, tuple[Any, list[Any]]]:
    """For each tensor its writer and its readers, as nodes of the cut."""
    place = {number: number if side is None else side for number, side in enumerate(sides)}
    transposes = {node.output[0]: node for node in graph.nodes if node.op_type == "Transpose"}
    writers: dict[str, Any] = {name: CHANNELS_LAST if name in graph.ports_last else PLAIN for name in graph.inputs}
    writers |= {
        name: place[number] for number, node in enumerate(graph.nodes) for name in node.output if name and node.op_type != "Transpose"
    }
    wanted = [(name, place[number] if _follows(graph, number, name) else PLAIN) for name, number in _readers(graph)]
    wanted += [(name, CHANNELS_LAST if name in graph.ports_last else PLAIN) for name in graph.outputs]
    found: dict[str, tuple[Any, list[Any]]] = {}
    for name, reader in wanted:
        through = _through(graph, transposes, name, reader, channel_axes)
        if through is None or through[0] not in writers or _rank(graph, through[0]) < 3:
            continue
        readers = found.setdefault(through[0], (writers[through[0]], []))[1]
        if through[1] not in readers:
            readers.append(through[1])
    return found


def _through(
    graph: GraphFacts, transposes: Mapping[str, onnx.NodeProto], name: str, reader: Any, channel_axes: Mapping[str, int]
) -> tuple[str, Any] | None:
    """A reader behind Transposes as a reader of what they turn; None where the order it needs is neither of the two, or a size is not
    known."""
    while name in transposes:
        if reader not in (PLAIN, CHANNELS_LAST):
            return None
        rank = _rank(graph, name)
        order = plain(rank) if reader == PLAIN else _last(graph, name, channel_axes)
        node = transposes[name]
        order, name = before_transpose(order, _perm(node, rank)), node.input[0]
        if name not in graph.shapes:
            return None
        if same_bytes(graph.shapes[name], order, plain(rank)):
            reader = PLAIN
        elif same_bytes(graph.shapes[name], order, _last(graph, name, channel_axes)):
            reader = CHANNELS_LAST
        else:
            return None
    return name, reader
