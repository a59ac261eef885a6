"""What a small device pays for a few glimpses, and for the whole image.

    python benchmarks/edge.py results/RUN.json [--repeats 30] [--train 20000]

One image at a time, one thread, onnxruntime. Three classifiers of the run's task:

- *glimpses*: the run's own network, exported (`nogs-bench export`), greedy, T steps; the picture is
  cut on the way, as `examples/onnx_glimpses.py` does.
- *whole image*: a small convolutional network over the whole image, trained here on the task's
  training images until its validation accuracy is the run's (or the images are used up), so that
  equal accuracy is compared.
- *MobileNetV3 small 0.5*: timm's, at the task's size, random weights: its cost does not depend on
  them. Its accuracy is not stated.

Prints milliseconds of processor time an image (medians of interleaved repeats with their range),
which other work on the machine disturbs little, and bytes of each
ONNX file; the last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnxruntime
import timm
import torch
from torch import nn

from nogs_bench import export_network, load_network, test_network
from nogs_bench.trained import TrainedNetwork


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run")
    parser.add_argument("--task", help="FILE.py:NAME of a task of your own")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--train", type=int, default=20_000, help="images, at most, of an epoch")
    parser.add_argument("--epochs", type=int, default=6)
    options = parser.parse_args()
    torch.set_num_threads(1)
    network = load_network(options.run, task=options.task, any_source=True)
    greedy = test_network(network, data=options.data).policies["greedy"].accuracy
    images = network.task.source.load("test", options.data).images[:64]
    with TemporaryDirectory() as folder:
        place = Path(folder)
        whole, accuracy = train_whole(network, greedy, options)
        mobile = timm.create_model(
            "mobilenetv3_small_050", in_chans=images.shape[1], num_classes=len(network.task.classes)
        )
        runners: dict[str, Any] = {
            "glimpses": Glimpses(export_network(network, place / "device")),
            "whole image": Whole(whole, images, place / "whole.onnx"),
            "mobilenetv3_small_050": Whole(mobile, images, place / "mobile.onnx"),
        }
        seconds = measure(runners, images, options.repeats)
        accuracies = {"glimpses": greedy, "whole image": accuracy}
        report = {
            name: {
                "milliseconds": [1000 * value for value in seconds[name]],
                "bytes": runner.bytes,
                "accuracy": accuracies.get(name),
            }
            for name, runner in runners.items()
        }
    for name, row in report.items():
        least, middle, most = row["milliseconds"]
        known = "" if row["accuracy"] is None else f", test accuracy {row['accuracy']:.3f}"
        print(f"{name}: {middle:.3f} ms [{least:.3f}, {most:.3f}], {row['bytes']:,} bytes{known}")
    print(json.dumps({"task": network.task.name, "rows": report}))


class Glimpses:
    """T greedy glimpses of an exported network; only their pixels are read."""

    def __init__(self, folder: Path):
        self.about = json.loads((folder / "network.json").read_text())
        self.session = session(folder / "step.onnx")
        self.names = [each.name for each in self.session.get_inputs()]
        self.bytes = sum(path.stat().st_size for path in folder.iterdir())
        self.state = np.array(self.about["state"], np.float32)
        self.locations = np.array(self.about["locations"], np.float32)
        self.first = int(np.argmax(self.about["policy"]))

    def __call__(self, image: np.ndarray) -> int:
        side, state, cell, belief = self.about["glimpse_size"], self.state, self.first, None
        for _ in range(self.about["T"]):
            row, col = self.about["pixels"][cell]
            patch = image[None, :, row : row + side, col : col + side].astype(np.float32) / 255
            feeds = (state, patch, self.locations[cell][None])
            state, belief, policy = self.session.run(
                None, dict(zip(self.names, feeds, strict=True))
            )
            cell = int(policy.argmax())
        assert belief is not None
        return int(belief.argmax())


class Whole:
    """A classifier of the whole image."""

    def __init__(self, model: nn.Module, images: np.ndarray, path: Path):
        example = torch.from_numpy(images[:1]).float() / 255
        torch.onnx.export(model.eval(), (example,), str(path), dynamo=True, external_data=False)
        self.session, self.bytes = session(path), path.stat().st_size
        self.name = self.session.get_inputs()[0].name

    def __call__(self, image: np.ndarray) -> int:
        (logits,) = self.session.run(None, {self.name: image[None].astype(np.float32) / 255})
        return int(logits.argmax())


def session(path: Path) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def measure(
    runners: dict[str, Any], images: np.ndarray, repeats: int
) -> dict[str, tuple[float, float, float]]:
    """Least, median and greatest seconds an image, each repeat of all runners in turn."""
    taken: dict[str, list[float]] = {name: [] for name in runners}
    for repeat in range(repeats + 1):
        for name, runner in runners.items():
            began = time.process_time()
            for image in images:
                runner(image)
            if repeat:  # the first warms up
                taken[name].append((time.process_time() - began) / len(images))
    return {name: (min(v), statistics.median(v), max(v)) for name, v in taken.items()}


def train_whole(
    network: TrainedNetwork, target: float, options: argparse.Namespace
) -> tuple[nn.Module, float]:
    """A small network over whole images, trained until it is as good as `target` on validation
    images; returns it with its test accuracy."""
    task = network.task
    train, validation, test = (
        task.source.load(split, options.data) for split in ("train", "validation", "test")
    )
    torch.manual_seed(0)
    size = task.image_size
    model = nn.Sequential(
        nn.Conv2d(task.channels, 8, 3, 2, 1),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3, 2, 1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(16 * ((size + 3) // 4) ** 2, len(task.classes)),
    )
    optimiser = torch.optim.Adam(model.parameters(), 1e-3)
    for epoch in range(options.epochs):
        order = np.random.default_rng(epoch).permutation(len(train))[: options.train]
        for step, rows in enumerate(np.array_split(order, max(1, len(order) // 64))):
            loss = nn.functional.cross_entropy(
                model(floats(train, rows)), targets(task, train, rows)
            )
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            if step % 50 == 0 and accuracy_of(model, task, validation) >= target:
                return model, accuracy_of(model, task, test)
    return model, accuracy_of(model, task, test)


def floats(split: Any, rows: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(split.images[rows])).float() / 255


def targets(task: Any, split: Any, rows: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(split.labels[rows, task.target])


def accuracy_of(model: nn.Module, task: Any, split: Any) -> float:
    with torch.no_grad():
        parts = np.array_split(np.arange(len(split)), max(1, len(split) // 500))
        right = [
            (model(floats(split, rows)).argmax(-1) == targets(task, split, rows)).double().sum()
            for rows in parts
        ]
    return float(sum(right)) / len(split)


if __name__ == "__main__":
    main()
