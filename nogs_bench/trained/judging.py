"""How good a trained network is, by itself: accuracy, calibration, confusion, cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nogs_bench.calibration import reliability
from nogs_bench.device import in_turn
from nogs_bench.errors import NogsError
from nogs_bench.figures import drawing
from nogs_bench.images import EVERY_SPLIT, LabelledImages, Sampler, digest_of_splits, say
from nogs_bench.tasks import COUNT, load_split, settled
from nogs_bench.trained.loading import TrainedNetwork
from nogs_bench.trained.looking import Looks, glimpses_used, look_at
from nogs_bench.training import step_costs

BINS = 10


@dataclass(frozen=True)
class Policy:
    """Figures of one way of looking, over all images.

    - `accuracy`, `balanced_accuracy` (mean over classes), `per_class` (NaN of a class without
      images), in 0..1; `cross_entropy` in nats.
    - `after`: accuracy after t = 1 .. T glimpses.
    - `calibration_error`: expected, over ten bins of confidence (ECE), in 0..1.
    - `reliability`: for each bin that holds any its images, mean confidence and accuracy.
    - `confusion`: int (classes, classes), true class by row, answer by column.
    - `glimpses`: mean number used; `accuracy_at`: accuracy of the answers given then.
    - `multiply_adds`: mean of an image in one rollout. Where looking may end early, of the glimpses
      that were used, with an answer after each; else of T glimpses with the last answer.
    """

    accuracy: float
    balanced_accuracy: float
    per_class: tuple[float, ...]
    cross_entropy: float
    after: tuple[float, ...]
    calibration_error: float
    reliability: tuple[tuple[int, float, float], ...]
    confusion: tuple[tuple[int, ...], ...]
    glimpses: float
    accuracy_at: float
    multiply_adds: float


@dataclass(frozen=True)
class Judgement:
    """What `test_network` found, `policies` by name: "single", "averaged", "greedy".

    "single" is the mean over M rollouts, "averaged" of their averaged probabilities.
    `multiply_adds` and `pixels_seen` are of one image's T glimpses in one rollout, also where
    looking may end early (`confident`): `Policy.multiply_adds` counts what was used. "averaged"
    costs `rollouts` times as much. `same_images`: whether the task's images, of all splits, are
    those of the run; None where that is not known (a split is not to be had, an old run), and for
    tasks that draw their images.
    """

    task: str
    split: str
    images: int
    rollouts: int
    classes: tuple[str, ...]
    multiply_adds: int
    pixels_seen: int
    pixels: int
    policies: dict[str, Policy]
    confident: float | None = None
    same_images: bool | None = None


@in_turn("test_network")
def test_network(
    network: TrainedNetwork,
    split: str = "test",
    data: str | Path | None = None,
    *,
    rollouts: int | None = None,
    confident: float | None = None,
) -> Judgement:
    """Judge a network on a split of its task.

    - `rollouts`: M, how many times each image is seen. None: as in the run. Rollout m is drawn as
      in the run's test, so that "single" gives the recorded test accuracy.
    - `confident`: the probability of a class, in (0, 1], at which looking ends. None: never.

    Of other images than the run's the figures are no test: the network may have been trained on
    some. A line on standard error says so. Raises `NogsError` if there is no such split, or the
    images are missing.
    """
    task, config = network.task, network.config
    rows = load_split(task, split, None if data is None else Path(data))
    same = _same_images(network, split, rows, data)
    if same is False:
        say(
            f"the images of {task.name} are not those of the run: figures are of other images, "
            "and some of them may have trained the network"
        )
    labels = rows.labels[:, task.target]
    M = task.training.rollouts if rollouts is None else settled("rollouts", rollouts, "int", COUNT)
    looks = [look_at(network, rows.images, seed=m, confident=confident) for m in range(M)]
    greedy = look_at(network, rows.images, greedy=True, confident=confident)
    mean = np.mean([look.beliefs for look in looks], 0)
    costs = [config.model.multiply_adds] * task.T
    if confident is not None:
        costs = step_costs(network.model, task)
    used = glimpses_used(mean, confident)
    averaged = Looks(looks[0].cells, looks[0].glimpses, mean, None, used)
    return Judgement(
        task=task.name,
        split=split,
        images=len(labels),
        rollouts=M,
        classes=task.classes,
        multiply_adds=config.model.multiply_adds,
        pixels_seen=config.model.pixels_seen,
        pixels=task.image_size**2,
        policies={
            "single": _pooled(looks, labels, costs),
            "averaged": _pooled([averaged], labels, costs),
            "greedy": _pooled([greedy], labels, costs),
        },
        confident=confident,
        same_images=same,
    )


def _same_images(
    network: TrainedNetwork, split: str, rows: LabelledImages, data: str | Path | None
) -> bool | None:
    task, known = network.task, network.config.images
    if known is None or isinstance(task.source, Sampler):
        return None
    place = None if data is None else Path(data)

    def each(name: str) -> tuple[str, LabelledImages]:
        return name, rows if name == split else load_split(task, name, place)

    try:
        return digest_of_splits(map(each, EVERY_SPLIT)) == known
    except NogsError:  # some splits are not to be had here
        return None


# pytest collects functions of this name from test files.
test_network.__test__ = False  # type: ignore[attr-defined]


def _pooled(looks: Sequence[Looks], labels: np.ndarray, costs: Sequence[int]) -> Policy:
    """Over all images of all rollouts; each image counts as often as there are rollouts.

    `costs`: multiply-adds of the first 1 .. T glimpses.
    """
    beliefs = np.concatenate([look.beliefs for look in looks]).astype(np.float64)
    used = np.concatenate([look.used for look in looks])
    known = np.tile(labels, len(looks))
    last, classes = beliefs[:, -1], beliefs.shape[-1]
    right = last.argmax(-1) == known
    confusion = np.zeros((classes, classes), int)
    np.add.at(confusion, (known, last.argmax(-1)), 1)
    counts = confusion.sum(1)
    share = np.divide(
        np.diag(confusion), counts, where=counts > 0, out=np.full(classes, np.nan, float)
    )
    answers = beliefs[np.arange(len(used)), used - 1].argmax(-1)
    curve = reliability(last, known, BINS)
    return Policy(
        accuracy=sum(float(each.mean()) for each in np.split(right, len(looks))) / len(looks),
        balanced_accuracy=float(np.nanmean(share)),
        per_class=tuple(share.tolist()),
        cross_entropy=float(-np.log(last[np.arange(len(known)), known].clip(1e-300)).mean()),
        after=tuple(float((b.argmax(-1) == known).mean()) for b in beliefs.swapaxes(0, 1)),
        calibration_error=curve.expected_error,
        reliability=tuple(zip(curve.count, curve.confidence, curve.accuracy, strict=True)),
        confusion=tuple(map(tuple, confusion.tolist())),
        glimpses=float(used.mean()),
        accuracy_at=float((answers == known).mean()),
        multiply_adds=float(np.array(costs)[used - 1].mean()),
    )


def plot_judgement(judgement: Judgement, out: str | Path, policy: str = "single") -> Path:
    """Draw confusion, reliability and accuracy after each glimpse; returns `out`."""
    found, classes = judgement.policies[policy], judgement.classes
    with drawing(Path(out), (11, 3.4)) as figure:
        left, middle, right = figure.subplots(1, 3, gridspec_kw={"wspace": 0.35})
        _draw_confusion(left, np.array(found.confusion), classes)
        sure = [(s, h) for _, s, h in found.reliability]
        middle.plot([0, 1], [0, 1], ":", color="0.6", linewidth=1)
        middle.plot(*zip(*sure, strict=True), "o-", color="#0072b2", markersize=4)
        middle.set(xlabel="belief", ylabel="share that is right", xlim=(0, 1), ylim=(0, 1))
        middle.set_title(f"calibration error {found.calibration_error:.3f}", fontsize=9, loc="left")
        steps = range(1, len(found.after) + 1)
        right.plot(steps, [100 * value for value in found.after], "o-", color="#e4002b")
        right.set(xlabel="glimpses", ylabel="accuracy, %", xticks=list(steps))
        right.set_title(f"{judgement.task}, {judgement.split}, {policy}", fontsize=9, loc="left")
    return Path(out)


def _draw_confusion(axes: Any, counts: np.ndarray, classes: Sequence[str]) -> None:
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    axes.imshow(share, cmap="Greys", vmin=0, vmax=1)
    axes.set(xlabel="answer", ylabel="true class")
    if len(classes) <= 20:
        axes.set_xticks(range(len(classes)), classes, rotation=90, fontsize=6)
        axes.set_yticks(range(len(classes)), classes, fontsize=6)
    if len(classes) <= 10:
        for row, col in np.ndindex(share.shape):
            if share[row, col] >= 0.005:
                colour = "white" if share[row, col] > 0.5 else "0.2"
                text = f"{100 * share[row, col]:.0f}"
                axes.text(col, row, text, ha="center", va="center", fontsize=6, color=colour)
