"""One training run as one strict JSON file: what was run, its raw curve, its test metrics."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from nogs_bench.artefact import digest_json, write_json
from nogs_bench.errors import NogsError

Name = Annotated[str, Field(min_length=1, pattern=r"^[^/\\\s]+$")]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(ge=0, le=1)]
NonNegative = Annotated[float, Field(ge=0)]


class Strict(BaseModel):
    """Nothing unknown, nothing missing, no silent conversion, no NaN or infinity; frozen."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class ModelInfo(Strict):
    """The network: its source's sha256, its size and what one classification costs.

    `multiply_adds` and `pixels_seen` are of one image's T glimpses.
    """

    name: Name
    source_digest: Digest
    parameters: Count
    multiply_adds: Count
    pixels_seen: Positive


class DatasetInfo(Strict):
    """The sequences that supervised: `supervised` rows, whose sha256 is `digest`."""

    name: str
    digest: Digest
    supervised: Positive


class PretrainingInfo(Strict):
    """Appendix B.2's stage, where the protocol has one.

    `map_digest`: sha256 of the EPE map that the glimpses' distribution was made from, if any.
    """

    iterations: Positive
    learning_rate: NonNegative
    evaluation_period: Positive
    glimpses: str
    map_digest: Digest | None = None


class Hyperparameters(Strict):
    """Settings of the run; `nogs_bench.task.Training` says what each means."""

    iterations: Positive
    batch_size: Positive
    learning_rate: NonNegative
    embedder: str
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
    """Everything that decides a run's outcome, known before it starts."""

    task: Name
    task_version: Positive
    protocol: Name
    method: Name
    model: ModelInfo
    dataset: DatasetInfo | None
    seed: Count
    hyperparameters: Hyperparameters

    @property
    def name(self) -> str:
        """TASK.PROTOCOL.METHOD.MODEL.seedN, the result's file name but for `.json`."""
        return f"{self.task}.{self.protocol}.{self.method}.{self.model.name}.seed{self.seed}"

    @property
    def config_digest(self) -> str:
        """sha256 of the configuration: equal digests mean the same run."""
        return digest_json(self.model_dump(mode="json", include=set(RunConfig.model_fields)))


class Point(Strict):
    """The validation split at one iteration, one rollout an image; cross-entropy in nats."""

    iteration: Count
    cross_entropy: NonNegative
    accuracy: Fraction


class TestMetrics(Strict):
    """The test split after the last iteration.

    `cross_entropy` (nats) and `accuracy` are of single rollouts, averaged over `rollouts` of them;
    `averaged_*` are of the mean of the rollouts' class probabilities.
    """

    __test__ = False

    images: Positive
    rollouts: Positive
    cross_entropy: NonNegative
    accuracy: Fraction
    averaged_cross_entropy: NonNegative
    averaged_accuracy: Fraction


class Environment(Strict):
    """Versions and hardware; says where a result came from and never enters a score."""

    package: str
    python: str
    torch: str
    device: str
    hardware: str


class RunResult(RunConfig):
    """A finished run. `wall_time_s` covers this run's training and validation, not pre-training."""

    format_version: Literal[1]
    curve: Annotated[tuple[Point, ...], Field(min_length=2)]
    test: TestMetrics
    wall_time_s: NonNegative
    environment: Environment

    @model_validator(mode="after")
    def _curve_covers_the_run(self) -> Self:
        at = [point.iteration for point in self.curve]
        if any(a >= b for a, b in itertools.pairwise(at)):
            raise ValueError("curve: iterations must increase strictly")
        if at[0] != 0 or at[-1] != self.hyperparameters.iterations:
            raise ValueError("curve: must run from iteration 0 to hyperparameters.iterations")
        return self


def first_fault(error: ValidationError) -> str:
    """The first faulty field's path and what is wrong with it, in one line."""
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"])
    return f"{field}: {first['msg']}" if field else str(first["msg"])


def save_result(result: RunResult, folder: Path) -> Path:
    """Write `result` into `folder` under its own name, whole or not at all. Returns the path."""
    path = folder / f"{result.name}.json"
    write_json(path, result.model_dump(mode="json"))
    return path


def load_result(path: Path) -> RunResult:
    """The result in `path`. Raises `NogsError` with the first faulty field, in one line."""
    try:
        result = RunResult.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise NogsError(f"no result file {path}") from None
    except ValidationError as error:
        raise NogsError(f"{path} is no valid result: {first_fault(error)}") from error
    if path.name != f"{result.name}.json":
        raise NogsError(f"{path} holds the run {result.name}; name it {result.name}.json")
    return result


def load_results(folder: Path | str) -> list[RunResult]:
    """All results in `folder`, by file name. Raises `NogsError` if there is none or one is bad."""
    folder = Path(folder)
    if not folder.is_dir():
        raise NogsError(
            f"no results folder {folder}; `nogs-bench evaluate --out {folder}` makes one"
        )
    # Hidden files are results that are being written.
    paths = sorted(path for path in folder.glob("*.json") if not path.name.startswith("."))
    if not paths:
        raise NogsError(
            f"{folder} holds no result; `nogs-bench evaluate --out {folder}` makes some"
        )
    return [load_result(path) for path in paths]
