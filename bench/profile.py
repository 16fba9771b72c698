"""Where a network's time goes, and how near it is to what this core can do.

`python -m bench.profile` profiles the descriptor network in ONNX Runtime, one thread, and sets it
beside the fastest plain matrix product that the same runtime reaches on the same core: no direct
convolution is faster than that.
"""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper
from rich.console import Console
from rich.table import Table

from bench.harness import MODELS, medians_ms
from ostiary.vision.models import DLIB_RESNET

RUNS = 60
SIDE = 512  # of the square matrices; larger ones are not faster


def options() -> ort.SessionOptions:
    chosen = ort.SessionOptions()
    chosen.intra_op_num_threads = 1
    chosen.log_severity_level = 3
    return chosen


def milliseconds_by_kind(model: Path) -> dict[str, float]:
    """Median time of each kind of operator in one run of `model`."""
    with tempfile.TemporaryDirectory() as folder:
        chosen = options()
        chosen.enable_profiling = True
        chosen.profile_file_prefix = f"{folder}/profile"
        chosen.add_free_dimension_override_by_name("batch", 1)
        session = ort.InferenceSession(model, chosen, providers=["CPUExecutionProvider"])
        (source,) = session.get_inputs()
        chip = np.random.default_rng(0).uniform(0, 255, source.shape).astype(np.float32)
        for _ in range(RUNS):
            session.run(None, {source.name: chip})
        events = json.loads(Path(session.end_profiling()).read_text())
    taken: dict[tuple[str, str], list[float]] = {}
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            kind = event["args"]["op_name"]
            taken.setdefault((event["name"], kind), []).append(event["dur"] / 1000)
    kinds: dict[str, float] = {}
    for (_, kind), times in taken.items():
        kinds[kind] = kinds.get(kind, 0.0) + float(np.median(times))
    return kinds


def multiply_adds(model: Path) -> float:
    """Millions of multiply-adds of its convolutions and matrix products, at batch 1."""
    loaded = onnx.load(model)
    loaded.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    graph = onnx.shape_inference.infer_shapes(loaded, data_prop=True).graph
    weights = {each.name: tuple(each.dims) for each in graph.initializer}
    shapes = {
        each.name: [dim.dim_value for dim in each.type.tensor_type.shape.dim]
        for each in (*graph.value_info, *graph.output, *graph.input)
    }
    total = 0.0
    for node in graph.node:
        shape = weights.get(node.input[1]) if len(node.input) > 1 else None
        if shape is None or node.op_type not in {"Conv", "Gemm", "MatMul"}:
            continue
        out = shapes[node.output[0]]
        places = out[2] * out[3] if node.op_type == "Conv" else max(1, int(np.prod(out[:-1])))
        total += float(np.prod(shape)) * places
    return total / 1e6


def fastest_product() -> float:
    """Thousand million multiply-adds a second of a square matrix product."""
    shape = [SIDE, SIDE]
    names = ("a", "b", "c")
    a, b, c = (helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in names)
    node = helper.make_node("MatMul", ["a", "b"], ["c"])
    graph = helper.make_graph([node], "product", [a, b], [c])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    session = ort.InferenceSession(model.SerializeToString(), options())
    matrix = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    (taken,) = medians_ms((lambda: session.run(None, {"a": matrix, "b": matrix}),), 100)
    return SIDE**3 / taken / 1e6


def main() -> int:
    model = MODELS / DLIB_RESNET
    kinds, work, fastest = milliseconds_by_kind(model), multiply_adds(model), fastest_product()
    total = sum(kinds.values())
    table = Table("operator", "ms", "share")
    for kind, taken in sorted(kinds.items(), key=lambda item: -item[1]):
        table.add_row(kind, f"{taken:.2f}", f"{taken / total:.0%}")
    Console().print(table)
    floor = work / fastest
    print(
        f"{model.name}: {total:.2f} ms for {work:.0f} million multiply-adds. The fastest matrix "
        f"product here does {fastest:.0f} thousand million a second: {floor:.2f} ms at least."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
