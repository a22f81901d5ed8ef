"""Frozen TensorFlow graphs are read as they were written, and anything else is one clear error."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from phosphene.errors import WeightsError
from phosphene.models import tensorflow_graph
from phosphene.models.tensorflow_graph import Node, read_graph

FLOAT, DOUBLE, INT32, STRING, INT64, HALF = 1, 2, 3, 7, 9, 19  # DataType
SINGLES = {FLOAT: 5, DOUBLE: 6, INT32: 7, INT64: 10, HALF: 13}  # fields of TensorProto


def varint(number: int) -> bytes:
    number &= 2**64 - 1
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def text(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def whole(number: int, value: int) -> bytes:
    return varint(number << 3) + varint(value)


def real(number: int, value: float) -> bytes:
    return varint(number << 3 | 5) + struct.pack("<f", value)


def attribute(key: str, value: bytes) -> bytes:
    return text(5, text(1, key.encode()) + text(2, value))


def node(name: str, op: str, inputs: tuple[str, ...] = (), *attributes: bytes) -> bytes:
    fields = [text(1, name.encode()), text(2, op.encode()), *(text(3, given.encode()) for given in inputs)]
    return text(1, b"".join([*fields, *attributes]))


def constant(name: str, dtype: int, shape: tuple[int, ...], *fields: bytes) -> bytes:
    dims = b"".join(text(2, whole(1, size)) for size in shape)
    tensor = whole(1, dtype) + text(2, dims) + b"".join(fields)
    return node(name, "Const", (), attribute("dtype", whole(6, dtype)), attribute("value", text(8, tensor)))


def read(tmp_path: Path, content: bytes) -> dict[str, Node]:
    file = tmp_path / "graph.pb"
    file.write_bytes(content)
    return read_graph(file)


def value(tmp_path: Path, content: bytes) -> NDArray[np.generic]:
    held = read(tmp_path, content)["c"].attributes["value"]
    assert isinstance(held, np.ndarray)
    return held


def test_nodes_come_with_their_operations_inputs_and_attributes(tmp_path: Path) -> None:
    graph = read(
        tmp_path,
        node("x", "Placeholder")
        + node(
            "y",
            "Conv2D",
            ("x:0", "w", "^z"),
            attribute("padding", text(2, b"SAME")),
            attribute("strides", text(1, text(3, b"".join(map(varint, (1, 2, 2, 1)))))),
            attribute("one_by_one", text(1, whole(3, 300) + whole(3, -4))),
            attribute("radius", whole(3, -5)),
            attribute("alpha", real(4, 0.25)),
            attribute("flag", whole(5, 1)),
            attribute("T", whole(6, FLOAT)),
        ),
    )
    assert list(graph) == ["x", "y"]
    assert graph["x"] == Node("x", "Placeholder", (), {})
    assert (graph["y"].op, graph["y"].inputs) == ("Conv2D", ("x:0", "w", "^z"))
    assert graph["y"].attributes == {
        "padding": b"SAME",
        "strides": (1, 2, 2, 1),
        "one_by_one": (300, -4),
        "radius": -5,
        "alpha": 0.25,
        "flag": True,
    }


def test_fields_that_nobody_needs_are_stepped_over(tmp_path: Path) -> None:
    versions = text(4, whole(1, 21)) + varint(9 << 3 | 1) + bytes(8) + real(10, 1.0)
    assert list(read(tmp_path, versions + node("x", "NoOp") + versions)) == ["x"]


@pytest.mark.parametrize(("dtype", "kind"), [(FLOAT, "<f4"), (DOUBLE, "<f8"), (INT32, "<i4"), (HALF, "<f2")])
def test_constants_are_read_from_their_bytes(tmp_path: Path, dtype: int, kind: str) -> None:
    expected = np.linspace(-7, 300, 24).astype(kind).reshape(2, 3, 4)
    held = value(tmp_path, constant("c", dtype, (2, 3, 4), text(4, expected.tobytes())))
    assert held.dtype == expected.dtype
    np.testing.assert_array_equal(held, expected)


def test_constants_are_read_value_by_value_packed_or_not(tmp_path: Path) -> None:
    floats = [0.5, -2.0, 1e30]
    packed = text(SINGLES[FLOAT], struct.pack("<3f", *floats))
    single = b"".join(real(SINGLES[FLOAT], number) for number in floats)
    for fields in (packed, single):
        np.testing.assert_array_equal(value(tmp_path, constant("c", FLOAT, (3,), fields)), np.float32(floats))
    numbers = [0, 1, 127, 128, 300, 2**31 - 1, -1, -(2**31)]
    packed = text(SINGLES[INT32], b"".join(map(varint, numbers)))
    single = b"".join(whole(SINGLES[INT32], number) for number in numbers)
    for fields in (packed, single):
        np.testing.assert_array_equal(value(tmp_path, constant("c", INT32, (8,), fields)), numbers)
    halves = np.float16([0.1, -65504, 3e-5])
    fields = text(SINGLES[HALF], b"".join(map(varint, halves.view(np.uint16).tolist())))
    np.testing.assert_array_equal(value(tmp_path, constant("c", HALF, (3,), fields)), halves)


def test_the_last_of_too_few_values_repeats_and_none_are_zeros(tmp_path: Path) -> None:
    one, two = real(5, 3.0), real(5, 3.0) + real(5, 4.0)
    np.testing.assert_array_equal(value(tmp_path, constant("c", FLOAT, (2, 2), one)), np.full((2, 2), 3.0))
    np.testing.assert_array_equal(value(tmp_path, constant("c", FLOAT, (4,), two)), [3, 4, 4, 4])
    np.testing.assert_array_equal(value(tmp_path, constant("c", FLOAT, (2,))), [0, 0])
    assert value(tmp_path, constant("c", INT32, (), whole(7, 3))).item() == 3
    assert value(tmp_path, constant("c", FLOAT, (0,))).size == 0


def test_constants_that_are_no_numbers_are_left_out(tmp_path: Path) -> None:
    graph = read(tmp_path, constant("c", STRING, (1,), text(8, b"kit fox")))
    assert graph["c"].attributes == {}


GOOD = node("x", "NoOp") + constant("c", FLOAT, (3,), text(4, bytes(12)))


@pytest.mark.parametrize("kept", range(1, len(GOOD)))
def test_a_file_cut_anywhere_is_refused_or_ends_between_two_nodes(tmp_path: Path, kept: int) -> None:
    if kept == len(node("x", "NoOp")):
        assert list(read(tmp_path, GOOD[:kept])) == ["x"]
        return
    with pytest.raises(WeightsError, match="damaged or not a frozen TensorFlow graph: "):
        read(tmp_path, GOOD[:kept])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "it has no nodes"),
        (b"<!DOCTYPE html>", "wire type 4"),
        (b"node {\n  name: 'x'\n}", "wire type 6"),
        (b"\x89PNG\r\n\x1a\n" + bytes(16), "."),
        (whole(1, 1), "a number where bytes should be"),
        (b"\x0a" + b"\xff" * 12, "a number does not end"),
        (text(1, text(1, b"x")), "no name or no operation"),
        (text(1, text(1, b"\xff\xfe") + text(2, b"NoOp")), "not UTF-8"),
        (node("x", "NoOp") * 2, "two nodes are called 'x'"),
        (node("x", "LRN", (), attribute("alpha", text(4, b"halves"))), "6 bytes where 4 should be"),
        (constant("c", FLOAT, (3,), text(4, bytes(8))), "a constant of 3 values holds 2"),
        (constant("c", FLOAT, (2,), text(4, bytes(7))), "7 bytes are no row of values of 4"),
        (constant("c", FLOAT, (1,), text(5, bytes(8))), "a constant of 1 values holds 2"),
        (constant("c", INT32, (1,), text(7, b"\xff")), "a number does not end"),
        (constant("c", FLOAT, (-1,)), r"a constant has the shape \(-1,\)"),
        (constant("c", FLOAT, (2**40, 2**40)), "a constant has the shape"),
        (constant("c", FLOAT, (1,) * 9), "a constant has the shape"),
        (constant("a", FLOAT, (2**26,)) + constant("c", FLOAT, (2**26 + 1,)), "more than 100000 nodes or"),
    ],
)
def test_what_is_no_graph_is_one_line_that_names_the_file(tmp_path: Path, content: bytes, said: str) -> None:
    with pytest.raises(
        WeightsError, match=rf"graph\.pb is damaged or not a frozen TensorFlow graph: .*{said}"
    ) as caught:
        read(tmp_path, content)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_or_too_large_is_refused_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(WeightsError, match=r"no graph file .*other\.pb"):
        read_graph(tmp_path / "other.pb")
    with pytest.raises(WeightsError, match="no graph file"):
        read_graph(tmp_path)
    monkeypatch.setattr(tensorflow_graph, "MAX_BYTES", 10)
    with pytest.raises(WeightsError, match="more than 10 bytes"):
        read(tmp_path, GOOD)
