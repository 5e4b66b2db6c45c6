"""Opens a model's files for serving, after everything in them was checked; nothing in a file is ever executed.

The hashes are checked first (`forecasting.artifact`), then the ONNX graph is read as plain protobuf: only known
operators of the standard, no functions, no subgraphs, no data outside the file, no weight that is not a number.
ONNX Runtime sees the graph only then.
"""

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from predictions.forecasting.artifact import ArtifactError, read_artifact
from predictions.forecasting.serving import Forecaster

KEPT_OPEN = 16  # of each frequency the champion, its challengers, and the champions before it
# What the network of the recipe is exported as; whatever else stands in a graph was put there by somebody.
OPERATORS = frozenset(
    {
        "Add", "Cast", "Concat", "Constant", "ConstantOfShape", "Div", "Exp", "Expand", "Flatten", "Gather", "Gemm",
        "Greater", "Identity", "LSTM", "MatMul", "Mul", "Neg", "Not", "Reshape", "Shape", "Sigmoid", "Slice", "Split",
        "Squeeze", "Sub", "Tanh", "Tile", "Transpose", "Unsqueeze",
    }
)  # fmt: skip
STANDARD = {"", "ai.onnx"}
# Field numbers of onnx.proto
GRAPH, TRAINING_INFO, FUNCTIONS = 7, 20, 25
NODE, INITIALIZER, SPARSE_INITIALIZER = 1, 5, 15
OP_TYPE, ATTRIBUTE, DOMAIN = 4, 5, 7
TENSOR_OF_ATTRIBUTE, SUBGRAPH, SUBGRAPHS = 5, 6, 11
DATA_TYPE, FLOAT_DATA, RAW_DATA, DOUBLE_DATA, EXTERNAL_DATA, DATA_LOCATION = 2, 4, 9, 10, 13, 14
FLOATS = {1: "<f4", 11: "<f8"}

Field = tuple[int, int | bytes]


@functools.lru_cache(maxsize=KEPT_OPEN)
def open_forecaster(folder: str, manifest_sha256: str) -> Forecaster:
    """The forecaster in a folder, opened once in a process; ArtifactError when anything about it is off."""
    return open_checked(Path(folder), expected_sha256=manifest_sha256)


def open_checked(folder: Path, *, expected_sha256: str | None = None) -> Forecaster:
    """Reads, checks and opens a forecaster, whatever was opened before; ArtifactError when anything is off."""
    found = read_artifact(folder, expected_sha256=expected_sha256)
    check_graph(found.onnx)
    return Forecaster(found)


def check_graph(onnx: bytes) -> None:
    """Refuses (ArtifactError) a graph that holds anything but the arithmetic of our network."""
    for number, value in fields(onnx):
        if number in {TRAINING_INFO, FUNCTIONS}:
            raise ArtifactError("the ONNX graph brings functions of its own")
        if number == GRAPH:
            _check_graph(_message(value))


def _check_graph(graph: bytes) -> None:
    for number, value in fields(graph):
        if number == NODE:
            _check_node(_message(value))
        elif number == INITIALIZER:
            _check_tensor(_message(value))
        elif number == SPARSE_INITIALIZER:
            raise ArtifactError("the ONNX graph holds sparse weights")


def _check_node(node: bytes) -> None:
    operator = domain = ""
    for number, value in fields(node):
        if number == OP_TYPE:
            operator = _message(value).decode(errors="replace")
        elif number == DOMAIN:
            domain = _message(value).decode(errors="replace")
        elif number == ATTRIBUTE:
            _check_attribute(_message(value))
    if domain not in STANDARD or operator not in OPERATORS:
        raise ArtifactError(f"the ONNX graph holds the operator {domain[:40]}:{operator[:40]}")


def _check_attribute(attribute: bytes) -> None:
    for number, value in fields(attribute):
        if number in {SUBGRAPH, SUBGRAPHS}:
            raise ArtifactError("the ONNX graph holds graphs of its own")
        if number == TENSOR_OF_ATTRIBUTE:
            _check_tensor(_message(value))


def _check_tensor(tensor: bytes) -> None:
    parts = list(fields(tensor))
    data_type = next((value for number, value in parts if number == DATA_TYPE), 0)
    for number, value in parts:
        if number == EXTERNAL_DATA or (number == DATA_LOCATION and value):
            raise ArtifactError("the ONNX graph's weights lie outside its file")
        kind = {FLOAT_DATA: "<f4", DOUBLE_DATA: "<f8", RAW_DATA: FLOATS.get(int(data_type))}.get(number)
        if kind is not None and isinstance(value, bytes):
            _check_finite(value, kind)


def _check_finite(data: bytes, kind: str) -> None:
    try:
        numbers = np.frombuffer(data, dtype=kind)
    except ValueError as error:
        raise ArtifactError(f"the ONNX graph's weights are cut off: {error}") from error
    if not np.isfinite(numbers).all():
        raise ArtifactError("the ONNX graph holds weights that are not finite numbers")


def fields(message: bytes) -> Iterator[Field]:
    """The fields of a protobuf message in order; ArtifactError when it is none."""
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        number, wire = key >> 3, key & 7
        if wire == 0:
            whole, place = _varint(message, place)
            yield number, whole
            continue
        if wire == 2:
            length, place = _varint(message, place)
        elif wire in {1, 5}:
            length = 8 if wire == 1 else 4
        else:
            raise ArtifactError("the ONNX graph is not readable")
        if place + length > len(message):
            raise ArtifactError("the ONNX graph is cut off")
        yield number, message[place : place + length]
        place += length


def _varint(message: bytes, place: int) -> tuple[int, int]:
    number = shift = 0
    while place < len(message) and shift < 64:
        byte = message[place]
        number |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return number, place
    raise ArtifactError("the ONNX graph is cut off")


def _message(value: Any) -> bytes:
    if not isinstance(value, bytes):
        raise ArtifactError("the ONNX graph is not readable")
    return value
