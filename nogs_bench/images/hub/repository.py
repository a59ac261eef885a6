"""A dataset's repository on the Hub: which commit, its files in the client's cache, its card."""

from __future__ import annotations

import re
from pathlib import Path

from nogs_bench.errors import NogsError
from nogs_bench.files import hub_errors, is_offline, require_hub

CITATION = re.compile(r"```(?:bibtex|latex|tex)?\s*\n(@.*?)```", re.S)
# Of the Hub's licence names, those that let images be passed on.
OPEN_LICENCES = (
    *("cc0-1.0", "pddl", "mit", "apache-2.0", "bsd", "bsd-3-clause", "unlicense", "odc-by"),
    *("cc-by-2.0", "cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0"),
)


def commit_of(name: str, revision: str | None) -> str:
    """The commit that a revision of a dataset of the Hub is now, or was when it was downloaded."""
    from huggingface_hub import HfApi, constants

    if is_offline():
        noted = Path(constants.HF_HUB_CACHE, _kept(name), "refs", revision or "main")
        commit = noted.read_text().strip() if noted.is_file() else revision or ""
        if not snapshot(name, commit).is_dir() or not commit:
            at = f"{revision} of " if revision else ""
            raise NogsError(
                f"{at}dataset {name} is not on this machine, and HF_HUB_OFFLINE keeps it off the "
                "network; unset that"
            )
        return commit
    require_hub(f"no dataset {name}")
    with hub_errors(f"dataset {name} cannot be had"):
        commit = HfApi().dataset_info(name, revision=revision).sha or ""
    _file(name, "README.md", revision)  # so that the cache knows the revision's commit
    return commit


def _kept(name: str) -> str:
    return f"datasets--{name.replace('/', '--')}"


def snapshot(name: str, commit: str) -> Path:
    """Where the Hub's client keeps what it downloaded of a commit."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE, _kept(name), "snapshots", commit)


def _file(name: str, path: str, revision: str | None) -> Path | None:
    """A file of a dataset of the Hub; None if it has none such."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    try:
        with hub_errors(f"dataset {name} cannot be had"):
            return Path(hf_hub_download(name, path, repo_type="dataset", revision=revision))
    except NogsError as error:
        if isinstance(error.__cause__, EntryNotFoundError | LocalEntryNotFoundError):
            return None
        raise


def card_of(name: str, local: Path | None, commit: str) -> tuple[str, str]:
    """Licence and citation, as the dataset's card says."""
    from huggingface_hub import DatasetCard

    file = Path(local, "README.md") if local is not None else _file(name, "README.md", commit)
    if file is None or not file.is_file():
        return "", ""
    try:
        text = file.read_text(encoding="utf-8")
        licence = DatasetCard(text, ignore_metadata_errors=True).data.to_dict().get("license")
    except (OSError, ValueError):
        return "", ""
    cited = CITATION.search(text)
    named = licence[0] if isinstance(licence, list) and licence else licence
    return str(named or ""), " ".join(cited[1].split()) if cited else ""
