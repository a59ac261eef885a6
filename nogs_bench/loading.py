"""Load a dataset of glimpse sequences in one line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import URLError
from urllib.request import urlopen

from nogs_bench.errors import NogsError

if TYPE_CHECKING:
    from datasets import DatasetDict

HUB_TIMEOUT = 5.0


def load(name: str | Path, config: str | None = None) -> DatasetDict:
    """The dataset in a folder, or of a name on the Hub, as a `datasets.DatasetDict`.

    **Arguments**

    - `name`: a folder that `nogs-bench build` wrote, or `OWNER/NAME` on the Hugging Face Hub. A
      folder that exists wins.
    - `config`: `"default"` (with images), `"annotations"` (without) or `"maps"` (the expected
      posterior entropy of every location); None takes the dataset's default.

    Raises `NogsError` if there is no such dataset, it is not whole, or it lacks the config.
    """
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
