"""Load a dataset of glimpse sequences in one line."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

from nogs_bench.errors import NogsError
from nogs_bench.files import (
    PROVENANCE,
    fetched,
    hub_errors,
    is_offline,
    is_url,
    require_hub,
    require_plain,
)
from nogs_bench.sequences.built import built_task
from nogs_bench.sequences.identity import read_identity
from nogs_bench.sequences.recorded import recorded_digests, require_digests, require_same
from nogs_bench.sequences.showing import shown
from nogs_bench.tasks import TASKS, Task

OWNER = "nogs"
SHIPPED = Path(__file__).parent / "shipped"
CARD = "README.md"
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
    where = _find(name)
    folder = _fetched(where, config, revision, streaming)
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


def dataset_folder(name: str | Path, config: str | None = None) -> Path:
    """The folder that holds a dataset's card, provenance and rows, as `load` finds and checks it;
    of one on the Hub, a copy in the cache."""
    return _fetched(_find(name), config, None, streaming=False)


def posterior_folder(name: str | Path) -> Path:
    """The folder that holds a dataset's provenance and its posterior network, if it has one."""
    where = _find(name)
    if isinstance(where, Path):
        return _local(where, None)
    folder = _download(where, None, None, streaming=True)
    from huggingface_hub import snapshot_download

    with hub_errors(f"the posterior of {where} cannot be loaded"):
        wanted = [CARD, PROVENANCE, "posterior/*"]
        return Path(
            snapshot_download(
                where, repo_type="dataset", revision=folder.name, allow_patterns=wanted
            )
        )


def _fetched(where: Path | str, config: str | None, revision: str | None, streaming: bool) -> Path:
    if isinstance(where, Path):
        folder = _local(where, revision)
        _check_digests(folder, config, str(where))
        return folder
    return _download(where, config, revision, streaming)


def _find(name: str | Path) -> Path | str:
    """The folder (a copy of it, if it is in a store), or the name on the Hub."""
    if is_url(name):
        return fetched(str(name))
    if Path(name).is_dir():
        return Path(name)
    if str(name) not in TASKS.names():
        return str(name)
    folders = (SHIPPED / name, Path(OWNER) / name)
    return next((folder for folder in folders if folder.is_dir()), f"{OWNER}/{name}")


def _local(folder: Path, revision: str | None) -> Path:
    if revision is not None:
        raise NogsError(
            f"{folder} is a folder here, which has no revision {revision!r}; leave it out, or load "
            "from the Hub in another working directory"
        )
    require_plain(folder.absolute(), str(folder), "rename the folder")
    if not (folder / CARD).is_file():
        raise NogsError(f"{folder} holds no whole dataset (no {CARD}); build it again")
    return folder


def _download(name: str, config: str | None, revision: str | None, streaming: bool) -> Path:
    """A folder of the Hub's cache that holds card, provenance and, unless streaming, the rows."""
    if name.count("/") != 1 or name.startswith((".", "/")):
        raise NogsError(
            f"no dataset {name!r}: there is no such folder or task, and it is not a name on the "
            "Hub (OWNER/NAME)"
        )
    if not is_offline():
        require_hub(f"no dataset {name!r} here")
    from huggingface_hub import HfApi, hf_hub_download, snapshot_download

    with hub_errors(f"{name} cannot be loaded"):
        card = hf_hub_download(name, CARD, repo_type="dataset", revision=revision)
        commit = Path(card).parent.name
        files = _files(Path(card), config, name)
        wanted = [CARD, PROVENANCE, *([] if streaming else files)]
        folder = Path(
            snapshot_download(name, repo_type="dataset", revision=commit, allow_patterns=wanted)
        )
        if not streaming:
            _check_digests(folder, config, name)
        elif (folder / PROVENANCE).is_file():
            recorded = recorded_digests(folder)
            found = HfApi().get_paths_info(name, files, repo_type="dataset", revision=commit)
            for file in found:
                large = getattr(file, "lfs", None)  # the Hub digests those alone
                if large and file.path in recorded:
                    require_same(f"{name}/{file.path}", large.sha256, recorded[file.path])
    return folder


def _files(card: Path, config: str | None, name: str) -> list[str]:
    """Paths of a config's files, or patterns of them, as the card gives them; None: the default's.

    A card that gives none leaves all of them. Raises `NogsError` if it lacks the config of `name`.
    """
    import yaml
    from huggingface_hub import DatasetCard

    try:
        configs = DatasetCard.load(card).data.to_dict().get("configs") or []
        default = next((c for c in configs if c.get("default")), None)
        chosen = [
            c
            for c in configs
            if config == c["config_name"] or (config is None and default in (None, c))
        ]
        if configs and not chosen:
            names = ", ".join(c["config_name"] for c in configs)
            raise NogsError(f"{name} has no config {config!r}; it has {names}")
        return [
            path
            for c in chosen
            for part in _as_list(c["data_files"])
            for path in _as_list(part if isinstance(part, str) else part["path"])
        ] or ["*"]
    except (yaml.YAMLError, ValueError, KeyError, TypeError, AttributeError) as error:
        line = str(error).splitlines()[0]
        raise NogsError(f"{card} does not give its files as the Hub's cards do: {line}") from error


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _check_digests(folder: Path, config: str | None, name: str) -> None:
    """Whether the files of a config are those that the folder's provenance records, if it has one.

    `datasets` would notice nothing: rows that changed under the same card come from its cache.
    """
    if (folder / PROVENANCE).is_file():
        require_digests(folder, _files(folder / CARD, config, name))


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
