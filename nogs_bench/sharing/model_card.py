"""The card of a trained network: what it is, how well it does, how to load it, its limits."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

from nogs_bench.results import RunResult
from nogs_bench.tasks import TASKS
from nogs_bench.trained import TrainedNetwork

LIMITS = """\
- The test figures are of one seed. How much seeds differ, the results of the benchmark say.
- `accuracy` is of single rollouts of its own policy. Averaging several rollouts is another figure.
- It knows images such as it was trained on: cut to squares and resized as the task does."""
CHANGED = """
- The model's source was changed after the training. The figures are of the earlier one."""


def model_card(network: TrainedNetwork, run: RunResult, repo: str, extras: Sequence[str]) -> str:
    """The text of `README.md`: YAML for the Hub, then Markdown for people.

    `run`: the result that the weights belong to. `extras`: names of files beside the card.
    """
    from huggingface_hub import EvalResult, ModelCardData

    task, config, test = network.task, network.config, run.test
    data = ModelCardData(
        model_name=repo.split("/")[-1],
        license="apache-2.0",
        library_name="nogs-bench",
        pipeline_tag="image-classification",
        tags=["hard-attention", "glimpses", config.method],
        eval_results=[
            EvalResult(
                task_type="image-classification",
                dataset_type=task.name,
                dataset_name=task.name,
                metric_type="accuracy",
                metric_value=test.accuracy,
            )
        ],
    )
    own = config.model.name if is_own_model(network) else None
    shipped = task.name in TASKS.lasting()
    options = {
        "model": f"model_source.py:{own}" if own else None,
        "task": None if shipped else "THE_TASK",
        "weights": network.weights if network.weights != "last" else None,
    }
    said = "".join(f', {name}="{value}"' for name, value in options.items() if value)
    said += "" if network.same_source else ", any_source=True"
    loaded = f'load_network("{repo}"{said})'
    body = [
        f"# {repo.split('/')[-1]}",
        f"A hard-attention network that tells {_classes(task.classes)} from {task.T} glimpses of "
        f"{task.glimpse_size} x {task.glimpse_size} pixels in images of {task.image_size} x "
        f"{task.image_size} ({task.description}).",
        *(["![What it sees of one image](look.png)"] if "look.png" in extras else []),
        "## Load it",
        f"```python\nfrom nogs_bench import load_network, look\n\nnetwork = {loaded}\n"
        'look(network, "look.png", "PICTURE.jpg")\n```',
        *([_own_source(own)] if own else []),
        *([] if shipped else [_own_task(task.name)]),
        "## How well it does",
        _table(run),
        "## How it was trained",
        _training(network),
        "## Limits",
        LIMITS
        + ("" if network.same_source else CHANGED)
        + "".join(f"\n- {caveat}" for caveat in task.caveats),
    ]
    return f"---\n{data.to_yaml()}\n---\n\n" + "\n\n".join(body) + "\n"


def is_own_model(network: TrainedNetwork) -> bool:
    from nogs_bench.network import MODELS

    return network.config.model.name not in MODELS.names()


def _own_source(name: str) -> str:
    return (
        f"`{name}` is its author's own model: `model_source.py` holds it. Loading the weights "
        "never runs that file. Read it, and name it yourself if you trust it."
    )


def _own_task(name: str) -> str:
    return (
        f"`{name}` is its author's own task, and does not come with nogs-bench. `THE_TASK` is the "
        "file that defines it (`FILE.py:NAME`), or where its images are (a folder, or `hf:NAME`)."
    )


def _classes(classes: Sequence[str]) -> str:
    if len(classes) > 6:
        return f"{len(classes)} classes"
    return f"{', '.join(classes[:-1])} and {classes[-1]}"


def _table(run: RunResult) -> str:
    test = run.test
    rows = {
        "accuracy, single rollouts": _share(test.accuracy, test.images),
        "cross-entropy, single rollouts": f"{test.cross_entropy:.3f} nats",
        f"accuracy, {test.rollouts} rollouts averaged": _share(test.averaged_accuracy, test.images),
        "test images": f"{test.images:,}",
        "multiply-adds an image": f"{run.model.multiply_adds:,}",
        "pixels seen an image": f"{run.model.pixels_seen:,}",
        "parameters": f"{run.model.parameters:,}",
    }
    return "| | |\n| --- | --- |\n" + "\n".join(f"| {k} | {v} |" for k, v in rows.items())


def _share(p: float, n: int) -> str:
    """A share in percent with its 95 % interval (Wilson 1927) over n images. Rollouts of the same
    image count as one, so the interval of single rollouts is at least as wide as it must be."""
    z = 1.959964
    middle, half = p + z * z / (2 * n), z * sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    low, high = ((middle + side * half) / (1 + z * z / n) for side in (-1, 1))
    return f"{100 * p:.2f} % [{100 * low:.2f}, {100 * high:.2f}] (95 %, over images)"


def _training(network: TrainedNetwork) -> str:
    config = network.config
    settings, dataset = config.hyperparameters, config.dataset
    taught = (
        f", supervised by {dataset.supervised:,} sequences of `{dataset.name}` "
        f"(sha256 {dataset.digest[:16]})"
        if dataset
        else ""
    )
    best = "those of the least validation cross-entropy"
    given = {
        "last": f'which `load_network` gives; `weights="best"` gives {best}',
        "best": f"which `load_network` gives without `weights`; the picture is of {best}",
    }[network.weights]
    return (
        f"Task `{config.task}`, version {config.task_version}, protocol `{config.protocol}`, "
        f"method `{config.method}`{taught}; {settings.iterations:,} iterations of "
        f"{settings.batch_size} images at a rate of {settings.learning_rate:g}, seed "
        f"{config.seed}. The figures are of the last weights, {given}. `result.json` holds the "
        "whole curve."
    )
