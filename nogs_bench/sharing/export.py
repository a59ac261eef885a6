"""`export`: a network as one ONNX step, for devices that see glimpses and nothing else."""

from __future__ import annotations

import inspect
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nogs_bench.errors import NogsError
from nogs_bench.files import replacing, require_own, write_text
from nogs_bench.trained import TrainedNetwork

STEP, ABOUT = "step.onnx", "network.json"
# What each file holds that is this command's.
MARKS = {STEP: "next_state", ABOUT: '"glimpse_size"'}
OPSET = 18
TOLERANCE = 1e-5


class Step(nn.Module):
    """One glimpse: (state, patch, location) to (state, belief, policy).

    `belief` float (n, classes) and `policy` float (n, cells) are probabilities.
    """

    def __init__(self, model: Any):
        super().__init__()
        self.model = model

    def forward(self, state: Tensor, patch: Tensor, location: Tensor) -> tuple[Tensor, ...]:
        state = self.model.look(state, patch, location)
        belief = self.model.classify(state).softmax(-1)
        return state, belief, self.model.locate(state).softmax(-1)


def export_network(network: TrainedNetwork, folder: str | Path, *, replace: bool = False) -> Path:
    """Write `step.onnx` and `network.json` into `folder`; returns it.

    `step.onnx` takes `state` (n, ...), `patch` float (n, channels, g, g) in 0..1 and `location`
    float (n, 2), (row, col) of the glimpse's centre from -1 to 1, and gives the next `state`,
    `belief` (n, classes) and `policy` (n, cells). `network.json` holds the state and the policy
    before the first glimpse, each cell's pixel (row, col) and location, and the classes. n is free;
    it is 1 for a model that the exporter can write for a fixed n only (`nn.TransformerEncoder`).
    `examples/onnx_glimpses.py` uses them.

    The step is run in onnxruntime and compared with the network before it is kept. Raises
    `NogsError` if the extra `onnx` is missing or torch is too old, the step cannot
    be exported or differs, or, without `replace`, if the folder holds other files of these names.
    """
    try:
        import onnx  # noqa: F401
        import onnxruntime
    except ImportError as error:
        raise NogsError("export needs the extra: pip install 'nogs-bench[onnx]'") from error
    if "dynamic_shapes" not in inspect.signature(torch.onnx.export).parameters:
        raise NogsError(
            f"export needs a newer torch than {torch.__version__}: pip install --upgrade torch"
        )
    folder, task, grid = Path(folder), network.task, network.task.grid
    require_own(folder, MARKS, replace)
    folder.mkdir(parents=True, exist_ok=True)
    step, name = Step(network.model).eval(), network.config.model.name
    with replacing(folder / STEP) as temporary:
        for n in (2, 1):
            _export(step, _example(network, n), temporary, name, free=n > 1)
            session = onnxruntime.InferenceSession(temporary, providers=["CPUExecutionProvider"])
            if not isinstance(session.get_inputs()[0].shape[0], int):
                break  # for any n; otherwise the exporter fixed n, and one image is what is wanted
        _compare(step, session, _example(network, 5 if n > 1 else 1))
    with torch.no_grad():
        state = network.model.start(1)
        policy = network.model.locate(state).softmax(-1)
    about = {
        "task": task.name,
        "classes": list(task.classes),
        "T": task.T,
        "channels": task.channels,
        "image_size": grid.image_size,
        "glimpse_size": grid.glimpse_size,
        "pixels": grid.pixels.tolist(),
        "locations": np.asarray(grid.pixel_to_normalised(grid.pixels), np.float64).tolist(),
        "state": state.tolist(),
        "policy": policy[0].tolist(),
    }
    write_text(folder / ABOUT, json.dumps(about))
    return folder


def _example(network: TrainedNetwork, n: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(n)
    side = network.task.glimpse_size
    with torch.no_grad():
        state = network.model.start(n).contiguous()
    patch = torch.rand((n, network.task.channels, side, side), generator=generator)
    return state, patch, torch.rand((n, 2), generator=generator) * 2 - 1


def _export(step: Step, inputs: tuple[Tensor, ...], path: Path, name: str, *, free: bool) -> None:
    names = ["state", "patch", "location"]
    n = torch.export.Dim("n", min=1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the exporter's own, about names of dimensions
            torch.onnx.export(
                step,
                inputs,
                str(path),
                input_names=names,
                output_names=["next_state", "belief", "policy"],
                dynamic_shapes=({0: n}, {0: n}, {0: n}) if free else None,
                opset_version=OPSET,
                dynamo=True,
                external_data=False,
                verbose=False,
            )
    except Exception as error:  # whatever a model does that the exporter does not know
        line = " ".join(str(error).split())[:200]
        raise NogsError(f"the model {name} cannot be exported: {line}") from error


def _compare(step: Step, session: Any, inputs: tuple[Tensor, ...]) -> None:
    with torch.no_grad():
        expected = step(*inputs)
    feeds = {
        put.name: value.numpy() for put, value in zip(session.get_inputs(), inputs, strict=True)
    }
    for name, known, found in zip(
        ("state", "belief", "policy"), expected, session.run(None, feeds), strict=True
    ):
        off = float(np.abs(found - known.numpy()).max())
        if not off <= TOLERANCE:
            raise NogsError(f"the exported step's {name} differs by {off:.2g} from the network's")
