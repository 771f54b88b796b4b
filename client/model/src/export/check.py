"""Compares exported models with what their own program answered. Used by the tests.

Every folder that is given has load.py, model.safetensors, inputs.npy and outputs.npy, and
model.onnx where there is one. For each it prints `NAME torch DIFFERENCE` and, where there is a
model.onnx, `NAME onnx DIFFERENCE`; differences are relative where outputs are larger than one.
"""

import importlib.util
import sys
from pathlib import Path

import numpy
import onnxruntime
import torch


def difference(outputs, expected):
    outputs = outputs.reshape(expected.shape)
    return float(numpy.max(numpy.abs(outputs - expected) / numpy.maximum(1, numpy.abs(expected))))


def load(folder):
    spec = importlib.util.spec_from_file_location("load", folder / "load.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


torch.set_num_threads(1)
for folder in map(Path, sys.argv[1:]):
    inputs, expected = numpy.load(folder / "inputs.npy"), numpy.load(folder / "outputs.npy")
    module = load(folder)
    with torch.no_grad():
        outputs = module.load()(torch.from_numpy(inputs)).numpy()
    print(folder.name, "torch", difference(outputs, expected))
    file = folder / "model.onnx"
    if not file.exists():
        continue
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    assert [value.name for value in session.get_inputs()] == ["input"]
    given = inputs.reshape(-1, *module.INPUT)
    (outputs,) = session.run(["output"], {"input": given})
    print(folder.name, "onnx", difference(outputs, expected))
    # Any number of examples.
    (first,) = session.run(None, {"input": given[:1]})
    print(folder.name, "onnx-one", difference(first, outputs[:1]))
