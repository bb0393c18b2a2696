"""Run exported networks as someone without Spinforge would."""

import onnxruntime
import torch


def run_program(path, **inputs):
    """Labels and probabilities of a file of `torch.export`."""
    with torch.inference_mode():
        return torch.export.load(path).module()(*inputs.values())


def run_onnx(path, **inputs):
    """Labels and probabilities of an ONNX file, as tensors."""
    session = onnxruntime.InferenceSession(path)
    arrays = {name: value.numpy() for name, value in inputs.items()}
    labels, probabilities = session.run(["labels", "probabilities"], arrays)
    return torch.from_numpy(labels), torch.from_numpy(probabilities)
