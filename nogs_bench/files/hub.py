"""The Hugging Face Hub: whether it answers, who may see a repository, its failures in one line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException, responses
from threading import Thread
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from nogs_bench.errors import NogsError

# The whole of a command that finds no network ends within two seconds.
REACH_SECONDS = 1.0
HIDDEN = "***"
MOST = 200  # characters of what the Hub or its client says
HINTS = {
    401: "log in with `hf auth login` or set HF_TOKEN, and check the name",
    403: "the token has no right to do this: take one with write access to the repository",
    404: "check the name; a private one needs `hf auth login` or HF_TOKEN",
    429: "the Hub asks for a pause: give the same command again in some minutes",
}

_OWNED = re.compile(r"\w[\w.-]*/\w[\w.-]*", re.ASCII)


def is_owned(name: str) -> bool:
    """Whether a text is OWNER/NAME, as the Hub names what somebody has there."""
    return _OWNED.fullmatch(name) is not None


def is_offline() -> bool:
    """Whether `HF_HUB_OFFLINE` keeps the Hub's client from the network."""
    from huggingface_hub import constants

    return constants.HF_HUB_OFFLINE


def require_hub(what: str) -> None:
    """Raise `NogsError` at once where the Hub does not answer, and its client would wait.

    `what` begins the message: what there is not, without the Hub. Any answer will do, an error
    of the request's own (4xx) too.
    """
    from huggingface_hub import constants

    if is_offline():
        raise NogsError(f"{what}: HF_HUB_OFFLINE keeps it off the network; unset that")
    if not _answers(constants.ENDPOINT):
        raise NogsError(
            f"{what}: {constants.ENDPOINT} is out of reach (no answer in {REACH_SECONDS} s); check "
            "the network, or set HF_HUB_OFFLINE=1 to use what was downloaded before"
        )


def _answers(url: str) -> bool:
    """Asked in a thread of its own: looking a name up cannot be given a time limit."""
    answers: list[bool] = []

    def ask() -> None:
        try:
            urlopen(Request(url, method="HEAD"), timeout=REACH_SECONDS).close()
            answers.append(True)
        except HTTPError as error:
            answers.append(error.code < 500)
        except (OSError, HTTPException):
            answers.append(False)

    thread = Thread(target=ask, daemon=True)
    thread.start()
    thread.join(REACH_SECONDS)
    return answers == [True]


def require_visibility(api: Any, repo: str, kind: str, private: bool) -> None:
    """Raise `NogsError` if a repository is there and others may see it, or may not, against
    `private`. `kind`: model, dataset or space."""
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        about = api.repo_info(repo, repo_type=kind)
    except RepositoryNotFoundError:
        return
    if bool(about.private) != private:
        is_now = "private" if about.private else "public"
        raise NogsError(
            f"{repo} exists and is {is_now}; {'leave out' if private else 'give'} --private, "
            "change its visibility on the Hub, or take another name"
        )


@contextmanager
def hub_errors(doing: str, token: str | None = None) -> Iterator[None]:
    """Turn what the Hub and its client raise into `NogsError`: one line, without the token.

    - `doing`: begins the message, such as "nogs/cub-200 cannot be loaded".
    - `token`: replaced by `***`, as the client's own is, wherever an answer repeats it.
    """
    from huggingface_hub import get_token
    from huggingface_hub.errors import HfHubHTTPError

    # The first base is the HTTP client's own class for all that goes wrong in it.
    expected: Any = (HfHubHTTPError.__bases__[0], OSError, RuntimeError, ValueError)
    try:
        yield
    except expected as error:
        cause: BaseException = error
        while cause.__cause__ is not None and not isinstance(cause, HfHubHTTPError):
            cause = cause.__cause__
        response = getattr(cause, "response", None)
        status = getattr(response, "status_code", None)
        text = shown = str(cause) or type(cause).__name__
        if response is not None and status is not None:
            said = getattr(cause, "server_message", None) or responses.get(status, "")
            address = str(response.url).partition("?")[0]  # what follows may be a key
            shown = f"{address} answers {status} {said}"
        for secret in filter(None, (token, get_token())):
            text, shown = text.replace(secret, HIDDEN), shown.replace(secret, HIDDEN)
        shown = " ".join(shown.split())
        if len(shown) > MOST:
            shown = f"{shown[:MOST]} ..."
        hint = f"; {HINTS[status]}" if status in HINTS else ""
        # A traceback shows the cause, and must not show the token either.
        raise NogsError(f"{doing}: {shown}{hint}") from (error if HIDDEN not in text else None)
