"""Run exported networks as someone without Spinforge would."""

import onnxruntime
import torch


def run_program(path, **inputs):
    """Labels and probabilities of a file of `torch.export`."""
    program = torch.export.load(path)
    # Such a program knows the names of its inputs, but is called with their values alone.
    values = [inputs.pop(name) for name in program.graph_signature.user_inputs]
    assert not inputs
    with torch.inference_mode():
        return program.module()(*values)


def run_onnx(path, **inputs):
    """Labels and probabilities of an ONNX file, as tensors."""
    session = onnxruntime.InferenceSession(path)
    arrays = {name: value.numpy() for name, value in inputs.items()}
    labels, probabilities = session.run(["labels", "probabilities"], arrays)
    return torch.from_numpy(labels), torch.from_numpy(probabilities)
