"""Load a dataset of glimpse sequences in one line."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

from nogs_bench.errors import NogsError
from nogs_bench.sequences.built import built_task
from nogs_bench.sequences.finding import fetch, find
from nogs_bench.sequences.identity import read_identity
from nogs_bench.sequences.showing import shown
from nogs_bench.tasks import Task

DENIED = (errno.EACCES, errno.EPERM, errno.EROFS)
CACHE_HINT = (
    "rows are kept in a cache that must be writable: name another with the environment variable "
    "HF_HOME"
)
FORMATS = (None, "numpy", "torch", "tensors")


def load(
    name: str | Path,
    config: str | None = None,
    images: str | Path | bool | None = None,
    task: str | Task | None = None,
    *,
    split: str | None = None,
    revision: str | None = None,
    streaming: bool = False,
    format: str | None = None,
) -> Any:
    """Load a dataset of glimpse sequences.

    **Arguments**

    - `name`: a folder that `nogs-bench build` wrote; a task's name, for the sequences that come
      with the package, those in the folder `nogs/TASK`, or the Hub's `nogs/TASK`; or `OWNER/NAME`
      on the Hugging Face Hub. If a folder of that name exists, it is taken.
    - `config`: `"default"` (with images), `"annotations"` (without) or `"maps"` (the expected
      posterior entropy of every location). None: the dataset's default.
    - `images`: adds an `image` to each row of the config `annotations`. Give True if the task needs
      no folder of images, or else that folder, such as `nogs-bench prepare` wrote. An image is read
      when its row is. So `select` rows rather than `filter` them, which reads every image.
    - `task`: the task whose images are added: a registered name, `FILE.py:NAME`, or a `Task`.
      None: the one that the dataset names.
    - `split`: `"train"`, `"validation"` or `"test"`, or unless streaming a part such as
      `"train[:100]"`. None: all splits.
    - `revision`: of a dataset on the Hub: a tag, such as `publish` sets, a branch or a commit.
    - `streaming`: read rows as they are asked for. Nothing of the Hub's parquet is kept.
    - `format`: None gives Python values, and images as PIL's. `"numpy"` and `"torch"` give arrays:
      images as uint8 (channels, height, width), integers as int64, `epe_map` as float32. These rows
      are what `torch.utils.data.DataLoader` takes. `"tensors"` reads all rows at once, into a dict
      with one tensor for each column: images (n, channels, height, width).

    **Returns** a `datasets.DatasetDict`, or a `Dataset` if `split` is given. When streaming, an
    `IterableDatasetDict` or `IterableDataset`. For `"tensors"`, a dict of columns, or of splits.

    Raises `NogsError` if

    - there is no such dataset, or it has no such config;
    - the Hub does not answer;
    - a file does not have the sha256 that the dataset's `provenance.json` records;
    - the images are missing, or are not those of the dataset.
    """
    joins = images is not None and images is not False
    if joins and config not in (None, "annotations"):
        raise NogsError(f"images are joined to the config 'annotations', not {config!r}")
    if format not in FORMATS or (format == "tensors" and streaming):
        known = ", ".join(repr(each) for each in FORMATS)
        raise NogsError(
            f"format {format!r}: give one of {known}; 'tensors' reads all at once and cannot stream"
        )
    config = "annotations" if joins else config
    where = find(name)
    folder = fetch(where, config, revision, streaming)
    rows = _read(folder, where, config, split, streaming)
    if joins:
        from nogs_bench.sequences.joining import join_images

        data = None if images is True else Path(str(images))
        identity = read_identity(folder)
        rows = join_images(rows, built_task(task, folder), data, format, identity)
    elif format == "numpy":
        from nogs_bench.sequences.joining import in_numpy

        rows = in_numpy(rows)
    elif format is not None:
        rows = rows.with_format("torch" if format == "tensors" else format)
    if format != "tensors":
        return rows if streaming else shown(rows)
    return rows[:] if split else {name: part[:] for name, part in rows.items()}


def _read(
    folder: Path, where: Path | str, config: str | None, split: str | None, streaming: bool
) -> Any:
    from datasets import get_dataset_config_names, load_dataset
    from datasets.exceptions import DatasetsError

    # Streaming from the Hub there are no rows in the folder, only the commit that it is of.
    remote = streaming and isinstance(where, str)
    here = str(folder.absolute())  # `datasets` takes a leading ~ for a home
    source, revision = (str(where), folder.name) if remote else (here, None)
    try:
        configs = get_dataset_config_names(source, revision=revision)
        if config is not None and config not in configs:
            raise NogsError(f"{where} has no config {config!r}; it has {', '.join(configs)}")
        if streaming:
            from nogs_bench.sequences.streaming import stream

            return stream(source, config, split, revision)
        return load_dataset(source, config, split=split, revision=revision)
    except (OSError, ValueError, DatasetsError) as error:
        cause = error.__cause__ or error
        line = (str(cause).splitlines() or [type(cause).__name__])[0]
        denied = any(isinstance(each, OSError) and each.errno in DENIED for each in (error, cause))
        hint = f"; {CACHE_HINT}" if denied else ""
        raise NogsError(f"{where} cannot be loaded: {line}{hint}") from error
