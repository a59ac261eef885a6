"""All seeds of an entry in one compressed file: what they share once, their curves as columns.

The file is gzip of JSON: `shared`, the fields in which the runs agree, and `runs`, of each what is
its own; a nested object may be split between both. A curve is an object of columns, one value a
validation. `TASK.PROTOCOL.METHOD.MODEL.json.gz`; with `.RATE` before the end for an entry at
another learning rate than the protocol's.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from nogs_bench.errors import NogsError
from nogs_bench.files import MalformedJson, parse_json, replacing, require_new
from nogs_bench.results.result import RunResult
from nogs_bench.results.storage import (
    MAX_BYTES,
    first_fault,
    load_result,
    parse_content,
    read_bytes,
)
from nogs_bench.tasks import TASKS, recorded_task

ENTRY_SUFFIX = ".json.gz"
LOG_FOLDER = "logs"  # the folder of a results folder in which the logs of its runs are
MAX_RUNS = 100
ENTRY_VERSION = 1
Key = tuple[str, str, str, str, float]


def entry_key(run: RunResult) -> Key:
    """What makes runs one entry: task, protocol, method, model and learning rate."""
    rate = run.hyperparameters.learning_rate
    return run.task, run.protocol, run.method, run.model.name, rate


def entry_name(run: RunResult) -> str:
    """The entry's file name but for `.json.gz`."""
    task = recorded_task(run.task, run.name)
    usual = (task.protocol(run.protocol).training or task.training).learning_rate
    rate = run.hyperparameters.learning_rate
    other = "" if rate == usual else f".{rate:.12g}"
    return f"{run.task}.{run.protocol}.{run.method}.{run.model.name}{other}"


def save_entries(runs: Iterable[RunResult], folder: Path) -> list[Path]:
    """Write one file for each entry into `folder/FAMILY`, by the task's family; returns the paths.

    An entry is written with all its seeds, whole or not at all, and replaces the file that is
    there. Equal runs give equal bytes.
    """
    entries = _by_file(runs, folder)
    for path, own in entries.items():
        with replacing(path) as temporary:
            temporary.write_bytes(pack_entry(own))
    return list(entries)


def _by_file(runs: Iterable[RunResult], folder: Path) -> dict[Path, list[RunResult]]:
    """The runs of each entry, by the entry's file."""
    entries: dict[Key, list[RunResult]] = defaultdict(list)
    for run in runs:
        entries[entry_key(run)].append(run)
    files: dict[Path, list[RunResult]] = {}
    for own in entries.values():
        path = entry_path(own[0], folder)
        if path in files:
            first, second = (
                f"{run.name} at {run.hyperparameters.learning_rate!r}"
                for run in (files[path][0], own[0])
            )
            raise NogsError(
                f"{first} and {second} have one file, {path.name}; write one of them elsewhere, or "
                "give the model another name"
            )
        files[path] = own
    return files


def entry_path(run: RunResult, folder: Path) -> Path:
    """The file of the run's entry in `folder`."""
    return folder / TASKS[run.task].family / f"{entry_name(run)}{ENTRY_SUFFIX}"


def pack(results: str | Path, out: str | Path, replace: bool = False) -> list[Path]:
    """Write the results in a folder, and below it, as one file an entry into `out/FAMILY`.

    Returns the paths. Raises `NogsError` if there is no result, one is bad or is there twice, or an
    entry's file is in `out` already, unless `replace` lets it be replaced.
    """
    runs = load_apart(Path(results))
    for path in _by_file(runs, Path(out)):
        require_new(path, replace)
    return save_entries(runs, Path(out))


def load_apart(folder: Path) -> list[RunResult]:
    """The results in a folder, and below it, each once.

    Raises `NogsError` if there is none, or one is bad or is there twice.
    """
    if not folder.is_dir():
        raise NogsError(f"no results folder {folder}; give the folder of the result files")
    runs = [run for path in result_files(folder, deep=True) for run in load_entry(path)]
    if not runs:
        raise NogsError(f"{folder} holds no result; give a folder of result files")
    found: set[object] = set()
    for run in runs:
        key = (*entry_key(run), run.seed)
        if key in found:
            raise NogsError(f"{folder} holds {run.name} twice; keep one of them")
        found.add(key)
    return runs


def pack_entry(runs: Sequence[RunResult]) -> bytes:
    """The bytes of an entry's file. Raises `NogsError` if it has more seeds than a file holds."""
    if len(runs) > MAX_RUNS:
        raise NogsError(f"{runs[0].name}: {len(runs)} seeds; an entry's file holds {MAX_RUNS}")
    contents = []
    for run in sorted(runs, key=lambda run: run.seed):
        content = run.model_dump(mode="json", exclude_defaults=True)
        points = content["curve"]
        names = list(dict.fromkeys(name for point in points for name in point))
        content["curve"] = {name: [point.get(name) for point in points] for name in names}
        contents.append(content)
    shared = _shared(contents)
    own = [_without(content, shared) for content in contents]
    value = {"entry_version": ENTRY_VERSION, "shared": shared, "runs": own}
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return gzip.compress(text.encode(), compresslevel=9, mtime=0)


def unpack_entry(raw: bytes) -> list[RunResult]:
    """The runs of an entry's file. Raises `MalformedJson` or pydantic's `ValidationError`."""
    content = parse_json(_inflated(raw))
    if not isinstance(content, dict) or set(content) != {"entry_version", "shared", "runs"}:
        raise MalformedJson("", "no entry: it must have entry_version, shared and runs")
    if content["entry_version"] != ENTRY_VERSION:
        raise MalformedJson("entry_version", f"must be {ENTRY_VERSION}")
    shared, runs = content["shared"], content["runs"]
    if not isinstance(shared, dict):
        raise MalformedJson("shared", "must be an object")
    if not isinstance(runs, list) or not 0 < len(runs) <= MAX_RUNS:
        raise MalformedJson("runs", f"must be a list of 1 to {MAX_RUNS}")
    found: dict[int, RunResult] = {}
    for number, own in enumerate(runs):
        if not isinstance(own, dict):
            raise MalformedJson(f"runs.{number}", "must be an object")
        whole = _merged(shared, own)
        whole["curve"] = _points(whole.get("curve"), f"runs.{number}.curve")
        run = parse_content(whole)
        if found.setdefault(run.seed, run) is not run:
            raise MalformedJson(f"runs.{number}.seed", f"{run.seed} is there twice; keep one")
    return list(found.values())


def load_entry(path: Path) -> list[RunResult]:
    """The runs in an entry's file, or the one in a run's. Raises `NogsError` in one line."""
    if not path.name.endswith(ENTRY_SUFFIX):
        return [load_result(path)]
    try:
        return unpack_entry(read_bytes(path))
    except ValidationError as error:
        raise NogsError(f"{path} is no valid entry: {first_fault(error)}") from error
    except MalformedJson as error:
        raise NogsError(f"{path} is no valid entry: {error}") from error


def result_files(folder: Path, deep: bool = False) -> list[Path]:
    """Files of runs and of entries in `folder`, and below it if `deep`, by name.

    Hidden ones, and those in hidden folders, are results that are being written. What is below
    `LOG_FOLDER` are logs.
    """
    every = folder.rglob("*") if deep else folder.glob("*")
    return sorted(
        path
        for path in every
        if path.name.endswith((".json", ENTRY_SUFFIX))
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and path.relative_to(folder).parts[0] != LOG_FOLDER
    )


def load_results(folder: Path | str) -> list[RunResult]:
    """All results: files of runs in `folder`, of entries in it and in the folders below.

    Raises `NogsError` if there is none or one is bad.
    """
    folder = Path(folder)
    if folder.is_file():
        raise NogsError(f"{folder} is a file; give the folder of results that it lies in")
    if not folder.is_dir():
        raise NogsError(
            f"no results folder {folder}; `nogs-bench evaluate --out {folder}` makes one"
        )
    below = [p for p in result_files(folder, deep=True) if p.name.endswith(ENTRY_SUFFIX)]
    paths = sorted({*result_files(folder), *below})
    if not paths:
        raise NogsError(
            f"{folder} holds no result; `nogs-bench evaluate --out {folder}` makes some"
        )
    return [run for path in paths for run in load_entry(path)]


def _shared(contents: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What all have in common, objects field by field."""
    first, found = contents[0], {}
    for name, value in first.items():
        every = [content.get(name) for content in contents]
        if all(name in content for content in contents) and all(own == value for own in every):
            found[name] = value
        elif all(isinstance(own, dict) for own in every):
            found[name] = _shared(every)  # type: ignore[arg-type]
    return found


def _without(content: Mapping[str, Any], shared: Mapping[str, Any]) -> dict[str, Any]:
    own = {}
    for name, value in content.items():
        if name not in shared:
            own[name] = value
        elif value != shared[name]:
            own[name] = _without(value, shared[name])
    return own


def _merged(shared: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    made = dict(shared)
    for name, value in own.items():
        both = isinstance(value, dict) and isinstance(made.get(name), dict)
        made[name] = _merged(made[name], value) if both else value
    return made


def _points(columns: Any, field: str) -> list[dict[str, Any]]:
    """A curve's points from its columns; null is what a point does not record."""
    if not isinstance(columns, dict) or not all(isinstance(c, list) for c in columns.values()):
        raise MalformedJson(field, "must be an object of columns")
    if len({len(column) for column in columns.values()}) > 1:
        raise MalformedJson(field, "columns must be of one length")
    rows = zip(*columns.values(), strict=True)
    return [
        {name: v for name, v in zip(columns, values, strict=True) if v is not None}
        for values in rows
    ]


def _inflated(raw: bytes) -> bytes:
    """What gzip holds, if it is no more than so many runs could be."""
    most, inflate = MAX_RUNS * MAX_BYTES // 4, zlib.decompressobj(wbits=31)
    try:
        text = inflate.decompress(raw, most)
    except zlib.error as error:
        raise MalformedJson("", f"no gzip: {error}") from None
    if inflate.unconsumed_tail:
        raise MalformedJson("", f"more than {most:,} bytes")
    if not inflate.eof or inflate.unused_data:
        raise MalformedJson("", "gzip that ends too soon, or not at its end")
    return text
