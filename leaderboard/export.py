"""The results as a dataset: a table of runs and one of curves, for others to plot their own way."""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from nogs_bench.errors import NogsError
from nogs_bench.files import package_version, replacing, require_empty, write_text
from nogs_bench.leaderboard.validation import validate
from nogs_bench.results import Point, RunConfig, RunResult, entry_key

CARD = """\
---
license: apache-2.0
pretty_name: Results of nogs-bench
configs:
- config_name: runs
  default: true
  data_files: runs.parquet
- config_name: curves
  data_files: curves.parquet
---
# Results of nogs-bench {version}

{runs:,} runs of {entries:,} entries, each checked by `nogs-bench leaderboard validate`. Fields are
those of the result format, named by their path, such as `test.accuracy`.

- `runs`: a row a run; `run` is its name, TASK.PROTOCOL.METHOD.MODEL.seedN. Cross-entropies are in
  nats, times in seconds. `locations` says where the test rollouts looked, step by step: how many
  `counts` at which `cells` of the task's grid.
- `curves`: a row a validation of a run, with `run` and what the run is of. Runs at two learning
  rates have one name: `hyperparameters.learning_rate` tells them apart.

```python
from datasets import load_dataset

curves = load_dataset("{name}", "curves")["train"].to_pandas()
```

An entry is the runs of one task, protocol, method, model and learning rate. It is compared with
others of its task and protocol alone.
"""
# What says in both tables which run a row is of.
OF = ("task", "protocol", "method", "model.name", "hyperparameters.learning_rate", "seed")
APART = ("curve", "format_version")


def export(results: str | Path, out: str | Path, replace: bool = False) -> Path:
    """Write the results in a folder, and below it, as the dataset folder `out`; returns `out`.

    It holds `runs.parquet` (a row a run, every field of a result but its curve, nested ones named
    by their path), `curves.parquet` (a row a validation) and a card that lets
    `datasets.load_dataset` read both. The same results give the same bytes.

    Raises `NogsError` with the first fault if a result may not stand on the leaderboard, or if
    `out` is a folder that holds anything, unless `replace` lets these three files be replaced.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    out = Path(out)
    require_empty(out, replace)
    report = validate(results, seeds=1)
    if not report.valid:
        raise NogsError(f"{results}: {report.faults[0]}; see `nogs-bench leaderboard validate`")
    runs = sorted(report.runs.values(), key=lambda run: (*entry_key(run), run.seed))
    fields = dict(_fields(RunResult))
    rows = [{"run": run.name, **_values(run, fields)} for run in runs]
    points = [
        {"run": row["run"], **{name: row[name] for name in OF}, **point.model_dump()}
        for run, row in zip(runs, rows, strict=True)
        for point in run.curve
    ]
    of_point = {name: fields[name] for name in OF} | dict(_fields(Point))
    for name, table, kinds in (("runs", rows, fields), ("curves", points, of_point)):
        schema = pa.schema([("run", pa.string()), *kinds.items()])
        with replacing(out / f"{name}.parquet") as temporary:
            pq.write_table(pa.Table.from_pylist(table, schema), temporary)
    card = CARD.format(
        version=package_version(), runs=len(runs), entries=report.entries, name=out.name
    )
    write_text(out / "README.md", card)
    return out


def _fields(model: type[BaseModel], path: str = "") -> Iterator[tuple[str, Any]]:
    """Each plain field of a result's model, by its path, with its type in Arrow."""
    for name, field in model.model_fields.items():
        kind = _plain(field.annotation)
        if name in APART and not path:
            continue
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _fields(kind, f"{path}{name}.")
        else:
            yield f"{path}{name}", _arrow(kind)


def _plain(kind: Any) -> Any:
    """Without `| None` and `Annotated`."""
    if typing.get_origin(kind) is typing.Annotated:
        return _plain(typing.get_args(kind)[0])
    if typing.get_origin(kind) in (types.UnionType, typing.Union):
        (kind,) = (each for each in typing.get_args(kind) if each is not type(None))
        return _plain(kind)
    return kind


def _arrow(kind: Any) -> Any:
    import pyarrow as pa

    kind = _plain(kind)
    simple = {int: pa.int64(), float: pa.float64(), str: pa.string(), bool: pa.bool_()}
    if kind in simple:
        return simple[kind]
    if typing.get_origin(kind) is typing.Literal:
        return pa.string()
    if typing.get_origin(kind) is dict:
        return pa.string()  # as JSON: `datasets` has no type for it
    if typing.get_origin(kind) is tuple:
        return pa.list_(_arrow(typing.get_args(kind)[0]))
    return pa.struct([(name, _arrow(each.annotation)) for name, each in kind.model_fields.items()])


def _values(run: RunConfig, fields: dict[str, Any]) -> dict[str, Any]:
    """A run's values by path; None where a part is left out."""
    content = run.model_dump(mode="json")
    found = {}
    for path in fields:
        value: Any = content
        for part in path.split("."):
            value = None if value is None else value[part]
        found[path] = json.dumps(value) if isinstance(value, dict) else value
    return found
