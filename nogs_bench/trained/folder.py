"""Which networks a folder of results holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from nogs_bench.errors import NogsError
from nogs_bench.files import MalformedJson
from nogs_bench.results import parse_result
from nogs_bench.trained.weights import weights_path


@dataclass(frozen=True)
class KeptRun:
    """A run whose weights are beside its result; `accuracy` of the test, 0..1.

    What the files' names and results say: the weights are not read.
    """

    path: str
    task: str
    protocol: str
    method: str
    model: str
    seed: int
    accuracy: float
    bytes: int


def list_networks(
    folder: str | Path, *, damaged: Callable[[str], None] | None = None
) -> list[KeptRun]:
    """The runs of a folder, and of folders in it, that kept their network; the best of each task
    and protocol first.

    `damaged`: is told of each result that is damaged, in one line, and the others are listed; None:
    raise `NogsError` at the first. Raises `NogsError` if there is no such folder.
    """
    root = Path(folder)
    if not root.is_dir():
        raise NogsError(f"no folder of results {root}")
    runs = _runs(root, damaged)
    return sorted(runs, key=lambda run: (run.task, run.protocol, -run.accuracy, run.path))


def _runs(root: Path, damaged: Callable[[str], None] | None) -> Iterator[KeptRun]:
    for result in sorted(root.rglob("*.json")):
        weights = weights_path(result)
        if not weights.is_file():
            continue
        try:
            run = parse_result(result.read_bytes())
            yield KeptRun(
                path=str(result),
                task=run.task,
                protocol=run.protocol,
                method=run.method,
                model=run.model.name,
                seed=run.seed,
                accuracy=run.test.accuracy,
                bytes=weights.stat().st_size,
            )
        except (MalformedJson, ValidationError, OSError) as error:
            line = f"{result} is no result of a run; remove it, or train it again"
            if damaged is None:
                raise NogsError(line) from error
            damaged(line)
