"""Where a dataset is, and whether its files are those that it records."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nogs_bench.errors import NogsError
from nogs_bench.files import (
    PROVENANCE,
    fetched,
    hub_errors,
    is_offline,
    is_owned,
    is_url,
    require_hub,
    require_plain,
)
from nogs_bench.sequences.recorded import recorded_digests, require_digests, require_same
from nogs_bench.tasks import TASKS

OWNER = "nogs"
SHIPPED = Path(__file__).parent / "shipped"
CARD = "README.md"


def dataset_folder(name: str | Path, config: str | None = None) -> Path:
    """The folder that holds a dataset's card, provenance and rows, as `load` finds and checks it;
    of one on the Hub, a copy in the cache."""
    return fetch(find(name), config, None, streaming=False)


def posterior_folder(name: str | Path) -> Path:
    """The folder that holds a dataset's provenance and its posterior network, if it has one."""
    where = find(name)
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


def fetch(where: Path | str, config: str | None, revision: str | None, streaming: bool) -> Path:
    """The folder of what `find` found, its files checked: where it is, or in the Hub's cache."""
    if isinstance(where, Path):
        folder = _local(where, revision)
        check_digests(folder, config, str(where))
        return folder
    return _download(where, config, revision, streaming)


def find(name: str | Path) -> Path | str:
    """The folder (a copy of it, if it is in a store), or the name on the Hub."""
    if is_url(name):
        return fetched(str(name))
    if Path(name).is_dir():
        return Path(name)
    if str(name) not in TASKS.names():
        return str(name)
    folders = own_folders(str(name))
    return next((folder for folder in folders if folder.is_dir()), f"{OWNER}/{name}")


def own_folders(task: str) -> tuple[Path, Path]:
    """Where a task's own sequences may be: those that the package ships, or those built here."""
    return SHIPPED / task, Path(OWNER) / task


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
    if not is_owned(name):
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
            check_digests(folder, config, name)
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


def check_digests(folder: Path, config: str | None, name: str) -> None:
    """Whether the files of a config are those that the folder's provenance records, if it has one.

    `datasets` would notice nothing: rows that changed under the same card come from its cache.
    """
    if (folder / PROVENANCE).is_file():
        require_digests(folder, _files(folder / CARD, config, name))
