"""A frozen TensorFlow graph (a GraphDef, `.pb`) read without TensorFlow: its nodes, their attributes and constants.

A protocol buffer is a row of fields: a key `number * 8 + wire type`, then a varint, 4 or 8 bytes, or a length and as
many bytes. Which number means what is in TensorFlow's graph.proto, node_def.proto, attr_value.proto, tensor.proto and
tensor_shape.proto; those few are known here, and all other fields are stepped over. The file is data that is not
trusted: no length leaves its message, no number is larger than a limit, and nothing in it is run.

Source: "Encoding", protobuf.dev; `tensorflow/core/framework/*.proto`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phosphene.errors import WeightsError

SUFFIX = ".pb"
MAX_BYTES = 2**30  # of a file; Inception v1 has 53 MB
MAX_NODES = 100_000  # Inception v1 has about 400
MAX_VALUES = 2**27  # in all constants together, 512 MiB of float32; Inception v1 has 13 million
MAX_AXES = 8  # of a constant
VARINT_BYTES = 10  # of a number of 64 bits, 7 bits a byte

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # wire types

NODE = 1  # GraphDef
NAME, OP, INPUT, ATTRIBUTE = 1, 2, 3, 5  # NodeDef
KEY, VALUE = 1, 2  # an entry of a map
LIST, TEXT, INTEGER, REAL, TRUTH, TENSOR = 1, 2, 3, 4, 5, 8  # AttrValue; INTEGER also in its ListValue
DTYPE, SHAPE, CONTENT = 1, 2, 4  # TensorProto
DIM, UNKNOWN_RANK = 2, 3  # TensorShapeProto
SIZE = 1  # its Dim

# DataType -> (NumPy's, the field of TensorProto with single values); halves stand there as the bits of integers
DTYPES: dict[int, tuple[str, int]] = {1: ("<f4", 5), 2: ("<f8", 6), 3: ("<i4", 7), 9: ("<i8", 10), 19: ("<f2", 13)}
HALF = 19

Field = int | memoryview
Attribute = bytes | int | float | bool | tuple[int, ...] | NDArray[Any]


class _Malformed(Exception):
    """What is wrong with the bytes, without the name of the file."""


@dataclass(frozen=True)
class Node:
    """One operation of a graph.

    name, op: "mixed3a", "Concat". inputs: names of nodes, as they stand in the file. attributes: what was understood
    of them: bytes, numbers, tuples of whole numbers, and constants as arrays in TensorFlow's own order of axes.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    attributes: Mapping[str, Attribute]


def read_graph(path: str | Path) -> dict[str, Node]:
    """Every node of a frozen graph by name, in the order of the file; constants share the file's memory.

    Raises WeightsError, one line that names the file: missing, larger than a limit, damaged, or something else.
    """
    path = Path(path)
    if not path.is_file():
        raise WeightsError(f"no graph file {path}")
    if path.stat().st_size > MAX_BYTES:
        raise WeightsError(f"{path} has more than {MAX_BYTES} bytes, which no graph that is read here has")
    try:
        return _graph(memoryview(path.read_bytes()))
    except _Malformed as error:
        raise WeightsError(f"{path} is damaged or not a frozen TensorFlow graph: {error}") from error


def _graph(message: memoryview) -> dict[str, Node]:
    nodes: dict[str, Node] = {}
    values = 0
    for number, value in _fields(message):
        if number != NODE:
            continue
        node = _node(_bytes(value))
        values += sum(held.size for held in node.attributes.values() if isinstance(held, np.ndarray))
        if node.name in nodes:
            raise _Malformed(f"two nodes are called {node.name!r}")
        if len(nodes) == MAX_NODES or values > MAX_VALUES:
            raise _Malformed(f"more than {MAX_NODES} nodes or {MAX_VALUES} values")
        nodes[node.name] = node
    if not nodes:
        raise _Malformed("it has no nodes")
    return nodes


def _node(message: memoryview) -> Node:
    texts: dict[int, list[str]] = {NAME: [], OP: [], INPUT: []}
    attributes: dict[str, Attribute] = {}
    for number, value in _fields(message):
        if number in texts:
            texts[number].append(_text(value))
        elif number == ATTRIBUTE:
            entry = dict(_fields(_bytes(value)))
            held = _attribute(_bytes(entry.get(VALUE, memoryview(b""))))
            if held is not None:
                attributes[_text(entry.get(KEY, memoryview(b"")))] = held
    if not texts[NAME] or not texts[OP]:
        raise _Malformed("a node has no name or no operation")
    return Node(texts[NAME][-1], texts[OP][-1], tuple(texts[INPUT]), attributes)


def _attribute(message: memoryview) -> Attribute | None:
    """The value of an AttrValue; None for kinds that nobody here reads (shapes, types, functions)."""
    held: Attribute | None = None
    for number, value in _fields(message):
        if number == TEXT:
            held = bytes(_bytes(value))
        elif number == INTEGER:
            held = _signed(_integer(value))
        elif number == REAL:
            held = float(struct.unpack("<f", _sized(value, 4))[0])
        elif number == TRUTH:
            held = bool(_integer(value))
        elif number == LIST:
            held = _integers(_bytes(value))
        elif number == TENSOR:
            held = _tensor(_bytes(value))
    return held


def _integers(message: memoryview) -> tuple[int, ...]:
    """The whole numbers of a ListValue, packed or one by one."""
    numbers: list[int] = []
    for number, value in _fields(message):
        if number == INTEGER:
            numbers += _varints(value).view(np.int64).tolist()
    return tuple(numbers)


def _tensor(message: memoryview) -> NDArray[Any] | None:
    """A TensorProto as an array of its own type; None for types that are no numbers."""
    dtype = 0
    shape: tuple[int, ...] = ()
    singles: dict[int, list[Field]] = {field: [] for _, field in DTYPES.values()}
    content = memoryview(b"")
    for number, value in _fields(message):
        if number == DTYPE:
            dtype = _integer(value)
        elif number == SHAPE:
            shape = _shape(_bytes(value))
        elif number == CONTENT:
            content = _bytes(value)
        elif number in singles:
            singles[number].append(value)
    if dtype not in DTYPES:
        return None
    kind, field = DTYPES[dtype]
    count = prod(shape)
    if count > MAX_VALUES:
        raise _Malformed(f"a constant has the shape {shape}")
    values = _real(content, kind) if len(content) else _singles(singles[field], dtype)
    return _filled(values, count, exact=len(content) > 0).reshape(shape)


def _shape(message: memoryview) -> tuple[int, ...]:
    sizes = []
    for number, value in _fields(message):
        if number == DIM:
            sizes.append(_signed(_integer(dict(_fields(_bytes(value))).get(SIZE, 0))))
        elif number == UNKNOWN_RANK and value:
            raise _Malformed("a constant has no shape")
    if len(sizes) > MAX_AXES or any(size < 0 for size in sizes):
        raise _Malformed(f"a constant has the shape {tuple(sizes)}")
    return tuple(sizes)


def _singles(chunks: list[Field], dtype: int) -> NDArray[Any]:
    """What stands in the `..._val` field of a type, packed or one by one."""
    kind, _ = DTYPES[dtype]
    if kind in ("<f4", "<f8"):
        return _real(memoryview(b"".join(_bytes(chunk) for chunk in chunks)), kind)
    bits = np.concatenate([_varints(chunk) for chunk in chunks]) if chunks else np.empty(0, np.uint64)
    return bits.astype(np.uint16).view(kind) if dtype == HALF else bits.astype(kind)


def _filled(values: NDArray[Any], count: int, *, exact: bool) -> NDArray[Any]:
    """`count` values: as TensorFlow has it, the last of fewer repeats, and none at all are zeros."""
    if len(values) == count:
        return values
    if exact or len(values) > count:
        raise _Malformed(f"a constant of {count} values holds {len(values)}")
    if len(values) < 2:
        return np.broadcast_to(values[0] if len(values) else values.dtype.type(0), (count,))
    return np.concatenate([values, np.broadcast_to(values[-1], (count - len(values),))])


def _fields(message: memoryview) -> Iterator[tuple[int, Field]]:
    """(number, value) of every field: an int for a varint, the bytes themselves for anything else."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, wire = key >> 3, key & 7
        if number == 0 or wire not in (VARINT, FIXED64, BYTES, FIXED32):
            raise _Malformed(f"a field {number} of wire type {wire}")
        if wire == VARINT:
            value, at = _varint(message, at)
            yield number, value
            continue
        size = {FIXED64: 8, FIXED32: 4}.get(wire, 0)
        if wire == BYTES:
            size, at = _varint(message, at)
        if size > len(message) - at:
            raise _Malformed(f"it ends {size - (len(message) - at)} bytes too early")
        yield number, message[at : at + size]
        at += size


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """The number that starts at a byte, and the byte after it."""
    value = 0
    for index, byte in enumerate(message[at : at + VARINT_BYTES]):
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value & (2**64 - 1), at + index + 1
    raise _Malformed("a number does not end")


def _varints(value: Field) -> NDArray[np.uint64]:
    """One number, or a packed row of them, decoded all at once."""
    if isinstance(value, int):
        return np.array([value], np.uint64)
    row = np.frombuffer(value, np.uint8)
    ends = np.flatnonzero(row < 0x80)
    starts = np.concatenate([[0], ends[:-1] + 1]).astype(np.int64) if len(ends) else ends
    lengths = ends - starts + 1
    if (len(row) and row[-1] >= 0x80) or lengths.max(initial=0) > VARINT_BYTES:
        raise _Malformed("a number does not end")
    numbers = np.zeros(len(ends), np.uint64)
    for index in range(int(lengths.max(initial=0))):
        longer = lengths > index
        bits = (row[starts[longer] + index] & 0x7F).astype(np.uint64)
        numbers[longer] |= bits << np.uint64(7 * index)
    return numbers


def _real(content: memoryview, kind: str) -> NDArray[Any]:
    if len(content) % np.dtype(kind).itemsize:
        raise _Malformed(f"{len(content)} bytes are no row of values of {np.dtype(kind).itemsize}")
    return np.frombuffer(content, kind)


def _integer(value: Field) -> int:
    if not isinstance(value, int):
        raise _Malformed("bytes where a number should be")
    return value


def _bytes(value: Field) -> memoryview:
    if isinstance(value, int):
        raise _Malformed("a number where bytes should be")
    return value


def _sized(value: Field, size: int) -> memoryview:
    content = _bytes(value)
    if len(content) != size:
        raise _Malformed(f"{len(content)} bytes where {size} should be")
    return content


def _text(value: Field) -> str:
    try:
        return str(_bytes(value), "utf-8")
    except UnicodeDecodeError as error:
        raise _Malformed("a name is not UTF-8") from error


def _signed(value: int) -> int:
    """The number of 64 bits that a varint holds in two's complement."""
    return value - 2**64 if value >> 63 else value
