"""What decides a run's outcome: task, protocol, method, model, sequences, seed and settings."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from nogs_bench.files import digest_json
from nogs_bench.results.fields import (
    Count,
    DatasetName,
    Digest,
    Fraction,
    Name,
    NonNegative,
    Positive,
    Strict,
    Text,
)

# What may teach a run: labels after each glimpse, sequences, maps of expected posterior entropy, an
# AVP's beliefs. All learn the label after the last glimpse.
Teaching = Literal["labels", "sequences", "maps", "beliefs"]

# Fields of `RunConfig` that older formats have not.
UNRECORDED = ("task_digest", "images", "teaching")


class ModelInfo(Strict):
    """The network: its source's sha256, its size and what one classification costs.

    `multiply_adds` and `pixels_seen` are of one image's T glimpses.
    """

    name: Name
    source_digest: Digest
    parameters: Count
    multiply_adds: Count
    pixels_seen: Positive


class MethodInfo(Strict):
    """A method beside its name: its settings, the sha256 of the file of one of one's own, and of
    each lesson that it takes from a dataset beside the sequences (names in `methods.NEEDS`)."""

    settings: dict[Name, Annotated[float, Field(ge=-1e9, le=1e9)]]
    source_digest: Digest | None = None
    lessons: dict[Name, Digest] = {}  # noqa: RUF012 - pydantic copies it


class DatasetInfo(Strict):
    """The sequences that supervised: `supervised` rows, whose sha256 is `digest`."""

    name: DatasetName
    digest: Digest
    supervised: Positive


class PretrainingInfo(Strict):
    """Appendix B.2's stage, where the protocol has one.

    `map_digest`: sha256 of the EPE map that the glimpses' distribution was made from, if any.
    """

    iterations: Positive
    learning_rate: NonNegative
    evaluation_period: Positive
    glimpses: Text
    map_digest: Digest | None = None


class Hyperparameters(Strict):
    """Settings of the run; `nogs_bench.tasks.training_settings.Training` says what each means."""

    iterations: Positive
    batch_size: Positive
    learning_rate: NonNegative
    embedder: Text
    hidden: Positive
    location_hidden: Positive
    supervision_weight: NonNegative
    supervision_reduction: Literal["mean", "sum"]
    supervised_share: Fraction
    location_gradient: bool
    evaluation_period: Positive
    rollouts: Positive
    pretraining: PretrainingInfo | None


class RunConfig(Strict):
    """Everything that decides a run's outcome, known before it starts.

    - `task_digest`: `Task.digest`, sha256 of what is asked and where one may look; None in files
      that were made before it was recorded.
    - `images`: sha256 of the images and labels of the task's splits; None in files of formats 1
      and 2, which did not record it.
    - `teaching`: what taught the run beside the label after its last glimpse (`Teaching`): empty
      for nothing else; None where it was not recorded.
    - `method_info`: of a method with settings, or of one's own; else None.
    """

    task: Name
    task_version: Positive
    protocol: Name
    method: Name
    model: ModelInfo
    dataset: DatasetInfo | None
    seed: Count
    hyperparameters: Hyperparameters
    task_digest: Digest | None = None
    images: Digest | None = None
    teaching: tuple[Teaching, ...] | None = None
    method_info: MethodInfo | None = None

    @property
    def name(self) -> str:
        """TASK.PROTOCOL.METHOD.MODEL.seedN, the result's file name but for `.json`."""
        return f"{self.task}.{self.protocol}.{self.method}.{self.model.name}.seed{self.seed}"

    @property
    def built(self) -> bool:
        """Whether something had to be built first: sequences, or the AVP whose beliefs teach."""
        return self.dataset is not None or "beliefs" in (self.teaching or ())

    @property
    def config_digest(self) -> str:
        """sha256 of the configuration: equal digests mean the same run."""
        return digest_json(self._recorded(self._unrecorded()))

    def same_run(self, other: RunConfig) -> bool:
        """Whether all that both record of their configurations is equal."""
        unknown = self._unrecorded() | other._unrecorded()
        return self._recorded(unknown) == other._recorded(unknown)

    def _unrecorded(self) -> set[str]:
        return {name for name in UNRECORDED if getattr(self, name) is None}

    def _recorded(self, without: set[str]) -> dict[str, Any]:
        fields = set(RunConfig.model_fields) - without
        return self.model_dump(mode="json", include=fields)
