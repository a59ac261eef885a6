"""`nogs-bench publish`: a dataset folder, or the paper's 41, to the Hugging Face Hub."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nogs_bench.builders.dataset.parquet import FOLDERS
from nogs_bench.builders.dataset.posterior import FOLDER as POSTERIOR
from nogs_bench.builders.dataset.publication import Publication, is_licensed, make_publication
from nogs_bench.errors import NogsError
from nogs_bench.files import hub_errors, require_hub, require_visibility
from nogs_bench.progress import progress_bars
from nogs_bench.tasks import Task
from nogs_bench.tasks.families.celeba_hq import CELEBA_HQ
from nogs_bench.tasks.families.cub import CUB

KIND = "dataset"
# What an earlier push may have left there, and this one does not send.
OWN_FOLDERS = tuple(f"{name}/" for name in (*FOLDERS.values(), POSTERIOR))
RIGHTS = (
    "{folder}: the licence of these sequences is unknown, and who gives none keeps all rights; "
    "publish them with --private, or with --i-have-the-rights if their authors let you"
)


@dataclass(frozen=True)
class Published:
    """What a push came to.

    - `commit`: sha of the repository's last commit; None after a dry run.
    - `changed`: whether this call made it.
    - `tag`: on the commit that first held these rows.
    - `files`: bytes of each file in the repository.
    - `card`: the card's fields.
    """

    repo: str
    private: bool
    commit: str | None
    changed: bool
    tag: str
    files: dict[str, int]
    card: dict[str, Any]


def publish(
    folder: str | Path,
    repo: str,
    *,
    private: bool = False,
    with_images: bool = False,
    i_have_the_rights: bool = False,
    dry_run: bool = False,
    task: str | Task | None = None,
    token: str | None = None,
) -> Published:
    """Push a dataset folder to the Hub as one commit, and tag it.

    What the Hub has already is not sent again. A push that was broken off goes on, and one that
    changes nothing makes no commit.

    **Arguments**

    - `repo`: `OWNER/NAME`; it is made if it does not exist.
    - `private`: whether the repository is private. One that exists must already be as this says.
    - `with_images`: send the images too, if their licence allows it.
    - `i_have_the_rights`: publish sequences whose origin names no licence, such as the authors'
      release. Without it they go only into private repositories.
    - `dry_run`: make and check everything; send nothing, and ask the Hub nothing.
    - `task`: the dataset's task, if it is not registered.
    - `token`: the Hub's token. None: that of HF_TOKEN or `hf auth login`. It is in no message and
      no file.

    Raises `NogsError` if the folder is not whole or may not be published, or the Hub refuses it.
    """
    publication = make_publication(folder, repo, task, with_images)
    _check_rights([publication], private, i_have_the_rights)
    if dry_run:
        return _outcome(publication, private)
    require_hub(f"{repo} cannot be published")
    return _push(publication, private, token)


def publish_all(
    folder: str | Path,
    owner: str | None = None,
    *,
    private: bool = False,
    i_have_the_rights: bool = False,
    dry_run: bool = False,
    token: str | None = None,
) -> list[Published]:
    """Push the paper's 41 datasets, `FOLDER/TASK` to `OWNER/TASK`; otherwise as `publish`.

    All are made and checked before the first is sent. `owner` is the folder's name by default.
    Raises `NogsError` if one of the 41 is missing.
    """
    folder = Path(folder)
    names = [task.name for task in (*CELEBA_HQ, CUB)]
    missing = [name for name in names if not (folder / name).is_dir()]
    if missing:
        raise NogsError(
            f"{folder} lacks {len(missing)} of the paper's {len(names)} datasets, such as "
            f"{missing[0]}; `nogs-bench import-released` or `build` makes them"
        )
    owner = owner or folder.resolve().name
    with progress_bars() as bars:
        checking = bars.add_task("checked", total=len(names), note="")
        publications = []
        for name in names:
            publications.append(make_publication(folder / name, f"{owner}/{name}"))
            bars.advance(checking)
        _check_rights(publications, private, i_have_the_rights)
        if dry_run:
            return [_outcome(publication, private) for publication in publications]
        require_hub(f"{owner}'s datasets cannot be published")
        sending = bars.add_task("sent", total=len(names), note="")
        outcomes = []
        for publication in publications:
            bars.update(sending, note=publication.repo)
            outcomes.append(_push(publication, private, token))
            bars.advance(sending)
    return outcomes


def _check_rights(publications: Iterable[Publication], private: bool, has_rights: bool) -> None:
    for publication in publications:
        if not (private or has_rights or is_licensed(publication)):
            raise NogsError(RIGHTS.format(folder=publication.folder))


def _push(publication: Publication, private: bool, token: str | None) -> Published:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

    api, repo = HfApi(token=token, library_name="nogs-bench"), publication.repo
    with hub_errors(f"{repo} cannot be published", token):
        require_visibility(api, repo, KIND, private)
        api.create_repo(repo, repo_type=KIND, private=private, exist_ok=True)
        before = api.dataset_info(repo)
        there = [file.rfilename for file in before.siblings or ()]
        stale = [
            name for name in there if name.startswith(OWN_FOLDERS) and name not in publication.files
        ]
        operations: list[Any] = [CommitOperationDelete(name) for name in stale]
        operations += [
            CommitOperationAdd(name, file if isinstance(file, bytes) else str(file))
            for name, file in publication.files.items()
        ]
        title = f"Publish {publication.folder.resolve().name}, {publication.tag}"
        made = api.create_commit(repo, operations, commit_message=title, repo_type=KIND)
        tags = {tag.name for tag in api.list_repo_refs(repo, repo_type=KIND).tags}
        if publication.tag not in tags:
            api.create_tag(
                repo, tag=publication.tag, revision=made.oid, repo_type=KIND, exist_ok=True
            )
    return _outcome(publication, private, made.oid, made.oid != before.sha)


def _outcome(
    publication: Publication, private: bool, commit: str | None = None, changed: bool = False
) -> Published:
    return Published(
        repo=publication.repo,
        private=private,
        commit=commit,
        changed=changed,
        tag=publication.tag,
        files=publication.sizes,
        card=publication.fields,
    )
