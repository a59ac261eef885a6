"""Load a dataset of glimpse sequences in one line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import URLError
from urllib.request import urlopen

from nogs_bench.artefact import read_provenance
from nogs_bench.errors import NogsError
from nogs_bench.task import TASKS, Task, get_task

if TYPE_CHECKING:
    from datasets import DatasetDict

HUB_TIMEOUT = 5.0


def load(
    name: str | Path,
    config: str | None = None,
    images: str | Path | bool | None = None,
    task: str | Task | None = None,
) -> DatasetDict:
    """The dataset in a folder, or of a name on the Hub, as a `datasets.DatasetDict`.

    **Arguments**

    - `name`: a folder that `nogs-bench build` wrote, or `OWNER/NAME` on the Hugging Face Hub. A
      folder that exists wins.
    - `config`: `"default"` (with images), `"annotations"` (without) or `"maps"` (the expected
      posterior entropy of every location); None takes the dataset's default.
    - `images`: joins images to the config `annotations`: the folder that the task's source reads
      (what `nogs-bench prepare` wrote, for images that may not be redistributed), or True where it
      needs none. Each row then has an `image`, read when the row is (`select` rows rather than
      `filter` them: that reads every image). Another format, such as `"torch"`, takes it off.
    - `task`: a registered name, `FILE.py:NAME`, or a `Task`, whose images are joined; None: the
      one that the folder names, or that the name on the Hub ends in.

    Raises `NogsError` if there is no such dataset, it is not whole, it lacks the config, or the
    images are missing or others.
    """
    if images is None or images is False:
        return _load(name, config)
    if config not in (None, "annotations"):
        raise NogsError(f"images are joined to the config 'annotations', not {config!r}")
    from nogs_bench.joining import join_images

    rows = _load(name, "annotations")
    folder = None if images is True else Path(images)
    return join_images(rows, get_task(task or _task_name(name)), folder)


def _task_name(name: str | Path) -> str:
    """The task of a dataset. Never `FILE.py:NAME`: no dataset may have a file run."""
    if not Path(name).is_dir():
        return str(name).rpartition("/")[2]
    import nogs_bench.tasks  # noqa: F401  (fills the registry)

    known = str(read_provenance(Path(name)).get("task"))
    if known not in TASKS.names():
        raise NogsError(
            f"{name} is about the task {known}, which is not registered: name it (task=...)"
        )
    return known


def _load(name: str | Path, config: str | None) -> DatasetDict:
    from datasets import get_dataset_config_names, load_dataset
    from datasets.exceptions import DatasetsError

    folder = Path(name)
    if folder.is_dir() and not (folder / "README.md").is_file():
        raise NogsError(f"{folder} holds no whole dataset (no README.md); build it again")
    if not folder.is_dir():
        _require_hub(str(name))
    try:
        configs = get_dataset_config_names(str(name))
        if config is not None and config not in configs:
            raise NogsError(f"{name} has no config {config!r}; it has {', '.join(configs)}")
        return load_dataset(str(name), config)
    except (OSError, ValueError, DatasetsError) as error:
        cause = error.__cause__ or error
        line = (str(cause).splitlines() or [type(cause).__name__])[0]
        raise NogsError(f"{name} cannot be loaded: {line}") from error


def _require_hub(name: str) -> None:
    """Raise at once where the Hub cannot help: its client retries for half a minute."""
    from datasets import config

    what = f"no dataset {name!r}: there is no such folder"
    if config.HF_HUB_OFFLINE:
        return
    if name.count("/") != 1 or name.startswith((".", "/")):
        raise NogsError(f"{what}, and it is not a name on the Hub (OWNER/NAME)")
    try:
        urlopen(config.HF_ENDPOINT, timeout=HUB_TIMEOUT).close()
    except URLError as error:
        raise NogsError(f"{what}, and {config.HF_ENDPOINT} is out of reach") from error
