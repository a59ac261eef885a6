"""One training run as one strict JSON file: what was run, its raw curve, its test metrics."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from nogs_bench.errors import NogsError
from nogs_bench.files import MalformedJson, digest_json, parse_json, write_json
from nogs_bench.results.versions import UPGRADES

FORMAT_VERSION = 3
MAX_BYTES = 4 * 2**20

# Bounds far beyond any run's, so that a number is a number and a name is a name.
Name = Annotated[str, Field(max_length=100, pattern=r"^\w[\w+.-]*$")]
DatasetName = Annotated[str, Field(max_length=200, pattern=r"^\w[\w+.:() -]*(/\w[\w+.:() -]*)?$")]
Text = Annotated[str, Field(min_length=1, max_length=300, pattern=r"^[^\x00-\x1f\x7f<>]*$")]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0, le=2**53)]
Positive = Annotated[int, Field(ge=1, le=2**53)]
Fraction = Annotated[float, Field(ge=0, le=1)]
NonNegative = Annotated[float, Field(ge=0, le=1e9)]


# What may teach a run: labels after each glimpse, sequences, maps of expected posterior entropy, an
# AVP's beliefs. All learn the label after the last glimpse.
Teaching = Literal["labels", "sequences", "maps", "beliefs"]


# Fields of `RunConfig` that older formats have not.
UNRECORDED = ("images", "teaching")


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


class MethodInfo(Strict):
    """A method beside its name: its settings, the sha256 of the file of one of one's own, and of
    each lesson that it takes from a dataset beside the sequences (names in `methods.NEEDS`)."""

    settings: dict[Name, Annotated[float, Field(ge=-1e9, le=1e9)]]
    source_digest: Digest | None = None
    lessons: dict[Name, Digest] = {}


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
    """Settings of the run; `nogs_bench.tasks.task.Training` says what each means."""

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

    - `images`: sha256 of the images and labels of the task's splits; None in files of formats 1
      and 2, which did not record it.
    - `teaching`: what taught the run beside the label after its last glimpse (`TEACHING`): empty
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
    images: Digest | None = None
    teaching: tuple[Teaching, ...] | None = None
    method_info: MethodInfo | None = None

    @property
    def name(self) -> str:
        """TASK.PROTOCOL.METHOD.MODEL.seedN, the result's file name but for `.json`."""
        return f"{self.task}.{self.protocol}.{self.method}.{self.model.name}.seed{self.seed}"

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


class ClassAccuracy(Strict):
    """How many `images` of a class there are, and which part of their rollouts was right."""

    images: Positive
    accuracy: Fraction


class Point(Strict):
    """The validation split at one iteration, one rollout an image; cross-entropy in nats.

    - `balanced_accuracy`: the mean of the classes' own accuracies, where it was measured.
    - `classes`: of a run's last point alone, as `TestMetrics.classes`.
    """

    iteration: Count
    cross_entropy: NonNegative
    accuracy: Fraction
    balanced_accuracy: Fraction | None = None
    classes: tuple[ClassAccuracy | None, ...] | None = None


class StepMetrics(Strict):
    """The test split's single rollouts after t glimpses; cross-entropy in nats."""

    cross_entropy: NonNegative
    accuracy: Fraction
    balanced_accuracy: Fraction


class TestMetrics(Strict):
    """The test split after the last iteration.

    `cross_entropy` (nats) and `accuracy` are of single rollouts, averaged over `rollouts` of them;
    `averaged_*` are of the mean of the rollouts' class probabilities. Not in files of formats 1
    and 2:

    - `balanced_accuracy`, `averaged_balanced_accuracy`: means of the classes' own accuracies, over
      the classes that the split has.
    - `classes`: of single rollouts, in the task's order; None for a class that the split lacks.
    - `after`: of single rollouts, after each of the T glimpses; the last is the run's own.
    """

    __test__ = False

    images: Positive
    rollouts: Positive
    cross_entropy: NonNegative
    accuracy: Fraction
    averaged_cross_entropy: NonNegative
    averaged_accuracy: Fraction
    balanced_accuracy: Fraction | None = None
    averaged_balanced_accuracy: Fraction | None = None
    classes: tuple[ClassAccuracy | None, ...] | None = None
    after: Annotated[tuple[StepMetrics, ...], Field(min_length=1)] | None = None


class Environment(Strict):
    """Versions and hardware; says where a result came from and never enters a score.

    `deterministic`: True where deterministic algorithms alone were used (`--deterministic`).
    """

    package: Text
    python: Text
    torch: Text
    device: Text
    hardware: Text
    deterministic: bool | None = None


class StepLocations(Strict):
    """Where the test rollouts looked at one step: `counts[i]` times at cell `cells[i]`.

    `cells` are indices into the task's grid, increasing; cells never looked at are left out.
    """

    cells: Annotated[tuple[Count, ...], Field(min_length=1)]
    counts: tuple[Positive, ...]

    @model_validator(mode="after")
    def _one_count_a_cell(self) -> Self:
        if len(self.cells) != len(self.counts):
            raise ValueError("counts: there must be one for each of cells")
        if any(a >= b for a, b in itertools.pairwise(self.cells)):
            raise ValueError("cells: must increase strictly")
        return self


class BuildCost(Strict):
    """What making the sequences that supervised cost, AVP and bank included: declared, not scored.

    `seconds` are of wall time on `hardware`.
    """

    seconds: NonNegative
    hardware: Text


class RunResult(RunConfig):
    """A finished run. `wall_time_s` covers this run's training and validation, not pre-training.

    `locations`: the T steps of all `test.images` times `test.rollouts` test rollouts, if they were
    counted (`step_locations` makes it). `build_cost`: of `dataset`, if it was declared.
    """

    format_version: Annotated[int, Field(ge=FORMAT_VERSION, le=FORMAT_VERSION)]
    curve: Annotated[tuple[Point, ...], Field(min_length=2)]
    test: TestMetrics
    wall_time_s: NonNegative
    environment: Environment
    locations: Annotated[tuple[StepLocations, ...], Field(min_length=1)] | None = None
    build_cost: BuildCost | None = None

    @model_validator(mode="after")
    def _curve_covers_the_run(self) -> Self:
        at = [point.iteration for point in self.curve]
        if any(a >= b for a, b in itertools.pairwise(at)):
            raise ValueError("curve: iterations must increase strictly")
        if at[0] != 0 or at[-1] != self.hyperparameters.iterations:
            raise ValueError("curve: must run from iteration 0 to hyperparameters.iterations")
        return self

    @model_validator(mode="after")
    def _parts_agree(self) -> Self:
        rollouts = self.test.images * self.test.rollouts
        for step, located in enumerate(self.locations or ()):
            if sum(located.counts) != rollouts:
                raise ValueError(f"locations.{step}.counts: must add up to the {rollouts} rollouts")
        if self.test.after and len(self.test.after) != len(self.locations or self.test.after):
            raise ValueError("test.after: must have one for each step of locations")
        known = self.test.classes
        if known is not None and sum(c.images for c in known if c) != self.test.images:
            raise ValueError("test.classes: must add up to test.images")
        if self.test.rollouts != self.hyperparameters.rollouts:
            raise ValueError("test.rollouts: differs from hyperparameters.rollouts")
        if self.build_cost is not None and self.dataset is None:
            raise ValueError("build_cost: given without a dataset")
        return self


def step_locations(counts: Iterable[Iterable[int]]) -> tuple[StepLocations, ...]:
    """`RunResult.locations` of counts (T, cells)."""
    steps = [[(cell, int(n)) for cell, n in enumerate(step) if n] for step in counts]
    return tuple(
        StepLocations(cells=tuple(c for c, _ in step), counts=tuple(n for _, n in step))
        for step in steps
    )


def faults(error: ValidationError) -> list[tuple[str, str]]:
    """Each faulty field's path and what is wrong with it."""
    found = []
    for fault in error.errors(include_url=False, include_input=False):
        field = ".".join(str(part)[:60] for part in fault["loc"])
        message = str(fault["msg"])
        if fault["type"] == "value_error":  # of a validator over several fields, which names one
            inner, _, message = message.removeprefix("Value error, ").partition(": ")
            field = f"{field}.{inner}" if field else inner
        found.append((field, message))
    return found


def first_fault(error: ValidationError) -> str:
    """The first faulty field's path and what is wrong with it, in one line."""
    return ": ".join(part for part in faults(error)[0] if part)


def save_result(result: RunResult, folder: Path) -> Path:
    """Write `result` into `folder` under its own name, whole or not at all. Returns the path."""
    path = folder / f"{result.name}.json"
    # What has a default is what an older format does not know.
    write_json(path, result.model_dump(mode="json", exclude_defaults=True))
    return path


def load_result(path: Path) -> RunResult:
    """The result in `path`, of any format version. Raises `NogsError` with the first faulty field,
    in one line."""
    try:
        result = parse_result(read_bytes(path))
    except ValidationError as error:
        raise NogsError(f"{path} is no valid result: {first_fault(error)}") from error
    except MalformedJson as error:
        raise NogsError(f"{path} is no valid result: {error}") from error
    if path.name != f"{result.name}.json":
        raise NogsError(f"{path} holds the run {result.name}; name it {result.name}.json")
    return result


def read_bytes(path: Path) -> bytes:
    """The file's content. Raises `NogsError`, before reading, if it is larger than any result."""
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise NogsError(
                f"{path} is no valid result: file: {size:,} bytes, more than {MAX_BYTES:,}"
            )
        return path.read_bytes()
    except FileNotFoundError:
        raise NogsError(f"no result file {path}") from None


def parse_result(raw: bytes) -> RunResult:
    """The result that `raw` says. Raises `MalformedJson` or pydantic's `ValidationError`."""
    content = parse_json(raw)
    upgraded = _upgraded(content)
    return RunResult.model_validate_json(
        raw if upgraded is content else json.dumps(upgraded).encode()
    )


def parse_content(content: Any) -> RunResult:
    """The result whose plain JSON value is `content`, of any format version."""
    return RunResult.model_validate_json(json.dumps(_upgraded(content)).encode())


def _upgraded(content: Any) -> Any:
    while isinstance(content, dict) and type(version := content.get("format_version")) is int:
        if version not in UPGRADES:
            break
        content = UPGRADES[version](content)
    return content
