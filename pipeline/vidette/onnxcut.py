"""An ONNX graph in two parts: what ends at its last convolutions, and what makes an output of their maps.

The second part of many detectors is arithmetic on all places, of which a handful become objects: it costs a runtime a
tenth of the whole run (`shortening.py`), and a kernel that looks at candidates only nearly nothing. Field numbers:
https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from vidette.onnxgraph import Node, declared, read_node
from vidette.protobuf import Data, MalformedError, Span, delimited, fields_of, message, number_of, text, varint

_FLOAT = 1  # TensorProto.DataType
_INTS = 7  # AttributeProto.AttributeType
_FAR = 20  # steps: a branch of a head has three convolutions with their activations
_LAYOUT = frozenset({"Identity", "Reshape", "Transpose"})


@dataclass(frozen=True, slots=True)
class Map:
    """What a convolution gives: (batch, channels, height, width) float32."""

    name: str
    channels: int


@dataclass(frozen=True, slots=True)
class Cut:
    """Where a graph is cut: `maps` are all that its output `output` is made of, in the order in which it asks for
    them. Of `sizes`, tensors from before the cut, it asks the height and width, which are those of the map named."""

    output: str
    maps: tuple[Map, ...]
    sizes: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class _Graph:
    """Where the fields of a graph lie, and what makes its tensors."""

    fields: tuple[tuple[int, int, int, int], ...]
    nodes: Mapping[int, Node]  # by where they begin
    makers: Mapping[str, int]  # tensor -> its node
    weights: Mapping[str, Span]

    @classmethod
    def of(cls, data: Data) -> "_Graph":
        span = message(data, (0, len(data))).get(7)
        if span is None:
            raise MalformedError
        fields = tuple(fields_of(data, span))
        nodes = {start: read_node(data, (start, end)) for number, start, end, _ in fields if number == 1}
        makers = {name: start for start, node in nodes.items() for name in node.outputs}
        weights = {text(data, message(data, (s, e)).get(8)): (s, e) for number, s, e, _ in fields if number == 5}
        return cls(fields, nodes, makers, weights)

    def needed(self, wanted: Collection[str], given: Collection[str]) -> set[int]:
        """The nodes that `wanted` tensors take where `given` ones are there."""
        found: set[int] = set()
        todo = [name for name in wanted if name not in given]
        while todo:
            at = self.makers.get(todo.pop())
            if at is not None and at not in found:
                found.add(at)
                todo += [name for name in self.nodes[at].inputs if name not in given]
        return found


def find(data: Data, output: str) -> Cut | None:
    """The convolutions that are the last before an output; None where there is something else between it and the
    graph's input, or weights lie in another file."""
    graph = _Graph.of(data)
    maps: dict[str, Map] = {}
    seen: set[str] = set()
    asked: set[str] = set()  # for their shapes alone
    todo = [output]
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        at = graph.makers.get(name)
        if at is None:
            if name and name not in graph.weights:
                return None  # the graph's input
            continue
        node = graph.nodes[at]
        if node.op == "Shape":
            asked.update(node.inputs[:1])
            continue
        if node.op != "Conv" or _after_softmax(graph, node):
            todo += reversed(node.inputs)
            continue
        span = graph.weights.get("".join(node.inputs[1:2]))
        weights = message(data, span)
        # TensorProto{dims = 1, data_type = 2, external_data = 13, data_location = 14}
        if (
            span is None
            or number_of(data, weights.get(2)) != _FLOAT
            or 13 in weights
            or number_of(data, weights.get(14))
        ):
            return None
        maps[name] = Map(name, _first_size(data, span))
    sizes = _nearest(graph, list(maps), asked - seen)
    return Cut(output, tuple(maps.values()), sizes) if maps and sizes is not None else None


def _nearest(graph: _Graph, maps: list[str], asked: set[str]) -> tuple[tuple[str, str], ...] | None:
    """Tensors before the cut, each with the map that is computed from it by the fewest steps, a few at most; None where
    one is farther away."""
    steps = dict.fromkeys(asked, _FAR)
    found: dict[str, str] = {}
    for name in maps if asked else ():
        reached = {name}
        for step in range(_FAR):
            for tensor in reached & asked:
                if step < steps[tensor]:
                    steps[tensor], found[tensor] = step, name
            nodes = {graph.makers[tensor] for tensor in reached if tensor in graph.makers}
            reached = {tensor for at in nodes for tensor in graph.nodes[at].inputs}
    return tuple(sorted(found.items())) if len(found) == len(asked) else None


def _after_softmax(graph: _Graph, node: Node) -> bool:
    """Whether a convolution takes the mean of a distribution, and is part of the arithmetic (DFL,
    https://arxiv.org/abs/2006.04388)."""
    for _ in graph.nodes:  # a damaged file could go round in circles
        at = graph.makers.get("".join(node.inputs[:1]))
        if at is None:
            return False
        node = graph.nodes[at]
        if node.op not in _LAYOUT:
            return node.op == "Softmax"
    return False


def _first_size(data: Data, tensor: Span) -> int:
    """TensorProto{dims = 1}, packed or one by one."""
    return next((number_of(data, (start, end)) for number, start, end, _ in fields_of(data, tensor) if number == 1), 0)


def shortened(data: Data, cut: Cut) -> list[bytes | memoryview]:
    """The model that ends at the cut, in pieces, most of them views of `data`: its outputs are the maps, place by place
    (batch, height, width, channels), then what else it had.

    Place by place costs a runtime nothing, or less: OpenVINO computes so in half precision, and would turn the numbers
    round (0.7 ms of yolo11n's 17, measured).
    """
    graph = _Graph.of(data)
    names = {place: text(data, message(data, (start, end)).get(1)) for number, start, end, place in graph.fields
             if number == 12}  # fmt: skip
    others = [name for name in names.values() if name != cut.output]
    kept = graph.needed([each.name for each in cut.maps] + others, ())
    weights = {name for at in kept for name in graph.nodes[at].inputs}
    view = memoryview(data)
    parts: list[bytes | memoryview] = [
        view[whole:end]
        for number, start, end, whole in graph.fields
        if not (number == 1 and start not in kept)
        and not (number == 5 and text(data, message(data, (start, end)).get(8)) not in weights)
        and number != 12
    ]
    turns = [delimited(1, _turned(each.name)) for each in cut.maps]
    shape = (None, None, None)
    outputs = [delimited(12, declared(by_place(each.name), _FLOAT, (*shape, each.channels))) for each in cut.maps]
    outputs += [data[whole:end] for number, _, end, whole in graph.fields if number == 12 and names[whole] in others]
    return _model(data, [*parts, *turns, *outputs])


def by_place(name: str) -> str:
    """The name of a map whose channels come last."""
    return f"{name}/by_place"


def _turned(name: str) -> bytes:
    """NodeProto{input = 1, output = 2, op_type = 4, attribute = 5{name = 1, ints = 8, type = 20}} of a Transpose."""
    axes = b"".join(b"\x40" + varint(axis) for axis in (0, 2, 3, 1))
    kind = varint(20 << 3) + varint(_INTS)
    attribute = delimited(5, delimited(1, b"perm") + axes + kind)
    return delimited(1, name.encode()) + delimited(2, by_place(name).encode()) + delimited(4, b"Transpose") + attribute


def rest(data: Data, cut: Cut) -> bytes:
    """The model of what comes behind the cut: maps, and tensors of the `sizes`, in, the output out."""
    graph = _Graph.of(data)
    given = [each.name for each in cut.maps] + [name for name, _ in cut.sizes]
    kept = graph.needed([cut.output], given)
    weights = {name for at in kept for name in graph.nodes[at].inputs}
    parts = [
        data[whole:end]
        for number, start, end, whole in graph.fields
        if (number == 1 and start in kept)
        or (number == 5 and text(data, message(data, (start, end)).get(8)) in weights)
        or number == 2  # the graph's name
    ]
    parts += [delimited(11, declared(each.name, _FLOAT, (None, each.channels, None, None))) for each in cut.maps]
    parts += [delimited(11, declared(name, _FLOAT, (None,) * 4)) for name, _ in cut.sizes]
    parts.append(delimited(12, declared(cut.output, _FLOAT, (None, None, None))))
    return b"".join(_model(data, parts))


def _model(data: Data, graph: Sequence[bytes | memoryview]) -> list[bytes | memoryview]:
    """The same ModelProto around another graph."""
    pieces: list[bytes | memoryview] = []
    for number, _, end, whole in fields_of(data, (0, len(data))):
        if number == 7:
            pieces += [varint(7 << 3 | 2) + varint(sum(map(len, graph))), *graph]
        else:
            pieces.append(data[whole:end])
    return pieces
