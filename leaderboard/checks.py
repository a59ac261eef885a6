"""What a result must agree with: its task and itself (RULES.md)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from nogs_bench.errors import NogsError
from nogs_bench.methods import Method, recorded_method, recorded_settings
from nogs_bench.results import RunResult
from nogs_bench.tasks import TASKS, Task


@dataclass(frozen=True)
class Fault:
    """Why a file is refused: `field` is the path of the faulty field, "file" for the whole."""

    file: str
    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}: {self.field}: {self.message}"


def task_faults(file: str, run: RunResult) -> list[Fault]:
    """Where a result contradicts its task or itself."""
    try:
        task = TASKS[run.task]
    except NogsError as error:
        return [Fault(file, "task", str(error))]
    if run.task_version > task.version:
        message = f"{run.task_version}, but {task.name} is at version {task.version}"
        return [Fault(file, "task_version", message)]
    try:
        task.protocol(run.protocol)
    except NogsError as error:
        return [Fault(file, "protocol", str(error))]
    parts = (_settings, _sizes, _supervision, _curve, _chances, _classes, _locations)
    return [Fault(file, *found) for part in parts for found in part(task, run)]


Found = Iterator[tuple[str, str]]


def _settings(task: Task, run: RunResult) -> Found:
    """What all entries of a protocol share, so that iterations are worth the same."""
    plan = task.protocol(run.protocol)
    training = plan.training or task.training
    fixed = {
        "iterations": plan.iterations,
        "batch_size": training.batch_size,
        "evaluation_period": training.evaluation_period,
        "rollouts": training.rollouts,
    }
    for name, wanted in fixed.items():
        yield from _equal(f"hyperparameters.{name}", getattr(run.hyperparameters, name), wanted)
    stage = run.hyperparameters.pretraining
    if (stage is None) != (plan.pretraining is None):
        what = "no pre-training" if plan.pretraining is None else "pre-training"
        yield "hyperparameters.pretraining", f"protocol {plan.name} has {what}"
    elif stage is not None and plan.pretraining is not None:
        name = "hyperparameters.pretraining.iterations"
        yield from _equal(name, stage.iterations, plan.pretraining.iterations)


def _sizes(task: Task, run: RunResult) -> Found:
    current = run.task_version == task.version
    if current and run.task_digest not in (None, task.digest):
        yield "task_digest", f"another label, number of glimpses or grid than {task.name} has"
    for name in ("images", "teaching"):
        if current and getattr(run, name) is None:
            yield name, "must be recorded, as `evaluate` does; train it again"
    yield from _equal("model.pixels_seen", run.model.pixels_seen, task.T * task.glimpse_size**2)
    yield from _equal("test.images", run.test.images, task.splits.test)
    if not run.model.name.isascii():
        yield "model.name", "letters, digits and signs of ASCII alone, so that no two look alike"
    for name in ("parameters", "multiply_adds"):
        if not getattr(run.model, name):
            yield f"model.{name}", "must be more than 0"


def _supervision(task: Task, run: RunResult) -> Found:
    method = recorded_method(run.method)
    if method is not None and method.supervised != (run.dataset is not None):
        what = "supervised: name its sequences" if method.supervised else "not supervised"
        yield "dataset", f"{method.name} is {what}"
    if method is not None and method.needs_pretraining and run.hyperparameters.pretraining is None:
        yield "method", f"{method.name} needs a protocol that pre-trains"
    if method is not None and run.teaching not in (None, method.teaching):
        said = ", ".join(run.teaching or ()) or "nothing"
        yield "teaching", f"{said}, which is not {method.name}'s"
    if method is not None and run.teaching is not None:  # older formats do not say
        yield from _as_registered(task, method, run)
    if run.dataset is not None and run.dataset.supervised > task.splits.train:
        yield "dataset.supervised", f"more than the {task.splits.train:,} training images"
    if run.built and run.build_cost is None:
        yield "build_cost", "declare what making the sequences, or the AVP, cost (RULES.md)"


def _as_registered(task: Task, method: Method, run: RunResult) -> Found:
    """What is called by a registered method's name is that method, with the settings that the name
    says."""
    info = run.method_info
    if info is not None and info.source_digest is not None:
        yield "method_info.source_digest", f"{method.name} comes with this package; rename yours"
    told, known = dict(info.settings) if info else {}, recorded_settings(method)
    if told != known:
        yield "method_info.settings", f"{told}, not {known}, as {method.name} has"
    usual = (task.protocol(run.protocol).training or task.training).learning_rate
    rate = run.hyperparameters.learning_rate
    if method.rate != 1 and not math.isclose(rate, usual * method.rate):
        yield "hyperparameters.learning_rate", f"{rate:g}, not {usual * method.rate:g}"


def _curve(task: Task, run: RunResult) -> Found:
    settings = run.hyperparameters
    period, last = settings.evaluation_period, settings.iterations
    wanted = -(-last // period) + 1
    for number, point in enumerate(run.curve):
        at = min(number * period, last)
        if point.iteration != at:
            yield f"curve.{number}.iteration", f"{point.iteration}, not {at}: every {period}"
            return
    yield from _equal("curve", len(run.curve), wanted, "points")


def _chances(task: Task, run: RunResult) -> Found:
    """Accuracies are counts; no cross-entropy is less, and no averaged one more, than can be."""
    measured = [
        (f"curve.{number}", point.accuracy, point.cross_entropy, task.splits.validation)
        for number, point in enumerate(run.curve)
    ]
    test = run.test
    seen = test.images * test.rollouts
    measured.append(("test", test.accuracy, test.cross_entropy, seen))
    measured += [
        (f"test.after.{number}", step.accuracy, step.cross_entropy, seen)
        for number, step in enumerate(test.after or ())
    ]
    averaged = ("test.averaged", test.averaged_accuracy, test.averaged_cross_entropy, test.images)
    for path, accuracy, cross_entropy, count in [*measured, averaged]:
        join = "_" if path.endswith("averaged") else "."
        if abs(accuracy * count - round(accuracy * count)) > 0.02:
            yield f"{path}{join}accuracy", f"no count of {count:,} images"
        # A wrong answer leaves the right one at most half of the probability.
        elif cross_entropy < (1 - accuracy) * math.log(2) - 1e-4:
            yield f"{path}{join}cross_entropy", "less than an accuracy of so little allows"
    if test.averaged_cross_entropy > test.cross_entropy + 1e-4:
        yield "test.averaged_cross_entropy", "more than that of single rollouts (Jensen)"


def _classes(task: Task, run: RunResult) -> Found:
    """Accuracy by class and after each glimpse must add up to the accuracies beside them."""
    test, last = run.test, run.curve[-1]
    measured = [
        ("test", test.classes, test.accuracy, test.balanced_accuracy, task.splits.test),
        (
            f"curve.{len(run.curve) - 1}",
            last.classes,
            last.accuracy,
            last.balanced_accuracy,
            task.splits.validation,
        ),
    ]
    for path, classes, accuracy, balanced, wanted in measured:
        if classes is None and balanced is not None:
            yield f"{path}.classes", "must be given beside balanced_accuracy, which is their mean"
        if classes is None:
            continue
        known = [each for each in classes if each is not None]
        images = sum(each.images for each in known)
        if len(classes) != len(task.classes) or not images:
            yield f"{path}.classes", f"must be those of {task.name}: {len(task.classes)}"
            return
        if images != wanted:
            yield f"{path}.classes", f"are of {images:,} images, not {wanted:,}"
        right = sum(each.images * each.accuracy for each in known) / images
        if abs(right - accuracy) > 1e-6:
            yield f"{path}.classes", f"make an accuracy of {right:.6f}, not {accuracy:.6f}"
        mean = sum(each.accuracy for each in known) / len(known)
        if balanced is None or abs(mean - balanced) > 1e-6:
            yield f"{path}.balanced_accuracy", f"the classes' mean is {mean:.6f}"
    if test.after is not None:
        yield from _equal("test.after", len(test.after), task.T, "steps")
        end = test.after[-1]
        same = end.accuracy == test.accuracy and end.balanced_accuracy == test.balanced_accuracy
        if not same or abs(end.cross_entropy - test.cross_entropy) > 1e-4:
            yield "test.after", "the last is not what was measured after all glimpses"


def _locations(task: Task, run: RunResult) -> Found:
    if run.locations is None:
        return
    yield from _equal("locations", len(run.locations), task.T, "steps")
    for number, step in enumerate(run.locations):
        if step.cells[-1] >= task.grid.cells:
            yield f"locations.{number}.cells", f"the grid has cells 0..{task.grid.cells - 1}"


def _equal(field: str, found: int, wanted: int, unit: str = "") -> Found:
    if found != wanted:
        yield field, f"{found} {unit}, not {wanted}".replace(" ,", ",")
