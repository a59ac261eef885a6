"""A trained network, ready to use: from a result, a file of weights, or the Hub."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from nogs_bench.errors import NogsError
from nogs_bench.files import hub_errors, is_offline, is_owned, require_hub
from nogs_bench.network import MODELS, load_model
from nogs_bench.notebook import html_facts
from nogs_bench.results import RunConfig
from nogs_bench.tasks import Task, get_task, recorded_task
from nogs_bench.trained.source import code_digest
from nogs_bench.trained.weights import CHOICES, SUFFIX, Kept, read_weights, task_shape, weights_path

HUB_FILE = "network.safetensors"


@dataclass(frozen=True)
class TrainedNetwork:
    """A network with its run.

    - `model`: the module, in eval mode, on the CPU, no parameter asking for a gradient.
    - `task`: with the run's own `training`.
    - `config`: everything that decided the run.
    - `weights`: "last" or "best".
    - `path`: the file that it was read from.
    - `same_source`: whether the model's source is the one that was trained.
    """

    model: Any
    task: Task
    config: RunConfig
    weights: str
    path: Path
    same_source: bool = True

    def _repr_html_(self) -> str:
        settings = self.config.hyperparameters
        facts = {
            "method": self.config.method,
            "model": f"{self.config.model.name}, {self.config.model.parameters:,} parameters",
            "seed": self.config.seed,
            "trained for": f"{settings.iterations:,} iterations ({self.weights} weights)",
            "glimpses": f"{self.task.T} of {self.task.glimpse_size} x {self.task.glimpse_size} "
            f"pixels in {self.task.image_size} x {self.task.image_size}",
        }
        return html_facts(f"A network trained on {self.task.name}", facts)


def load_network(
    where: str | Path,
    *,
    weights: str = "last",
    model: str | None = None,
    task: str | Task | None = None,
    revision: str | None = None,
    any_source: bool = False,
) -> TrainedNetwork:
    """The network that a run of `evaluate` left.

    **Arguments**

    - `where`: the run's result file (`results/....json`), its weights (`....safetensors`), or
      `OWNER/NAME` on the Hub, as `publish_network` sends it.
    - `weights`: `"last"`, which the result's test figures are of, or `"best"`, of the least
      validation cross-entropy.
    - `model`: the `FILE.py:NAME` of a model of one's own. It runs with your rights, so only you can
      name it: a file that comes with the weights is never run. Registered models need no name.
    - `task`: the `FILE.py:NAME` of a task of one's own, or the `Task`.
    - `any_source`: load although the model's source is not the one that was trained, if the
      weights fit it.
    - `revision`: tag, branch or commit, of a network on the Hub.

    Raises `NogsError` if the file is missing or damaged, or source, task or weights do not fit.
    """
    if weights not in CHOICES:
        raise NogsError(f"weights {weights!r}: give one of {', '.join(CHOICES)}")
    path = _find(where, revision)
    kept = read_weights(path)
    found = _task_of(kept, path, task)
    network, same_source = _model_of(kept, path, found, model, any_source)
    try:
        network.load_state_dict(dict(getattr(kept, weights)))
    except RuntimeError as error:
        line = " ".join(str(error).split())[:200]
        raise NogsError(
            f"{path} does not fit the model {kept.config.model.name}: {line}"
        ) from error
    network.requires_grad_(False).eval()
    return TrainedNetwork(network, found, kept.config, weights, path, same_source)


def _find(where: str | Path, revision: str | None) -> Path:
    path = Path(where)
    if path.suffix == ".json":
        if not path.is_file() and not weights_path(path).is_file():
            raise NogsError(f"no result {path}")
        path = weights_path(path)
    if path.is_file() or path.suffix == SUFFIX:
        if not path.is_file():
            raise NogsError(f"no weights {path}; train the run again, without --no-weights")
        return path
    name = str(where)
    if not is_owned(name):
        raise NogsError(f"no network {name}: there is no such file, and it is no OWNER/NAME")
    if not is_offline():
        require_hub(f"no network {name} here")
    from huggingface_hub import hf_hub_download

    with hub_errors(f"{name} cannot be loaded"):
        return Path(hf_hub_download(name, HUB_FILE, revision=revision))


def _task_of(kept: Kept, path: Path, given: str | Task | None) -> Task:
    config = kept.config
    task = recorded_task(config.task, path) if given is None else get_task(given)
    settings = config.hyperparameters.model_dump(exclude={"iterations", "pretraining"})
    known = set(vars(task.training))
    task = replace(
        task,
        training=replace(task.training, **{k: v for k, v in settings.items() if k in known}),
    )
    for name, value in task_shape(task).items():
        if kept.shape.get(name) != value:
            raise NogsError(
                f"{path} was trained for {name} = {kept.shape.get(name)}, and {task.name} has "
                f"{value}; use the package or the task that trained it"
            )
    if config.task_digest not in (None, task.digest):
        raise NogsError(
            f"{path} was trained for another label of {task.name}; use the task that trained it"
        )
    return task


def _model_of(
    kept: Kept, path: Path, task: Task, given: str | None, any_source: bool
) -> tuple[nn.Module, bool]:
    """The network with initial weights, and whether its source is the one that was trained."""
    known = kept.config.model
    if given is None and known.name not in MODELS.names():
        raise NogsError(
            f"{path} is of the model {known.name}, which does not come with the package; name its "
            "file: model='FILE.py:NAME'"
        )
    source = load_model(known.name if given is None else given)
    digest = code_digest(source, task)
    if digest != known.source_digest and not any_source:
        raise NogsError(
            f"{path} was trained with another source of {known.name}, or other weights to start "
            f"from (sha256 {known.source_digest[:12]}, not {digest[:12]}); give the file that "
            "trained it, or say any_source=True (--any-source) if the change does not matter"
        )
    return source.build(task, seed=0), digest == known.source_digest
