"""How commands end badly: one line on standard error and an exit status, never a traceback."""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from contextvars import ContextVar
from typing import Any, TextIO

import typer
from typer.core import TyperGroup

from nogs_bench.deprecation import NogsDeprecationWarning
from nogs_bench.errors import NogsError

FAILED, INTERRUPTED, TERMINATED = 1, 130, 143
# What is the matter with the user's machine rather than with this package.
ENVIRONMENT = {
    errno.EACCES: "check its permissions or give another folder",
    errno.EPERM: "check its permissions or give another folder",
    errno.EROFS: "give a folder that can be written to",
    errno.ENOSPC: "free some space and give the same command again",
    errno.EDQUOT: "free some space and give the same command again",
    errno.EFBIG: "free some space and give the same command again",
    errno.ENOTDIR: "a part of this path is a file; give another path",
    errno.EEXIST: "a file is in the way; give another path",
    errno.EISDIR: "a folder is in the way; give another path",
    errno.ELOOP: "a link leads to itself; give another path",
    errno.ENAMETOOLONG: "give a shorter path",
}


class Interrupted(Exception):
    """A signal to a command that can go on later; the message says what was kept."""

    status = INTERRUPTED


class Terminated(KeyboardInterrupt):
    """SIGTERM, as a batch system sends it before it kills; it ends things as Ctrl-C does."""


# Where a command prints its answer; None: on standard output.
ANSWER: ContextVar[TextIO | None] = ContextVar("ANSWER", default=None)


@contextmanager
def keeping(kept: str, then: str = "the same command goes on from there") -> Iterator[None]:
    """Say what was kept if SIGINT or SIGTERM stops the block, and what the same command does
    then."""

    def stop(*_: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # one is enough
        raise Terminated

    main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, stop) if main else None
    try:
        yield
    except KeyboardInterrupt as error:
        stopped = Interrupted(f"{kept}; {then}")
        if isinstance(error, Terminated):
            stopped.status = TERMINATED
        raise stopped from error
    finally:
        if main:
            signal.signal(signal.SIGTERM, before)


@contextmanager
def answer_alone() -> Iterator[None]:
    """Within the block, standard output is for what goes to the stream `ANSWER` alone.

    What else is printed goes to standard error: by a user's model, task or generator, by a library,
    or by a process that starts within the block.
    """
    with _output() as answer, redirect_stdout(sys.stderr):
        before = ANSWER.set(answer)
        try:
            yield
        finally:
            ANSWER.reset(before)


@contextmanager
def _output() -> Iterator[TextIO]:
    """Standard output; file descriptor 1, which new processes get, is standard error meanwhile."""
    shown = sys.stdout
    try:
        descriptor = shown.fileno()
    except (OSError, ValueError):  # in memory, as a test's
        descriptor = None
    if descriptor != 1:
        yield shown
        return
    shown.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with os.fdopen(os.dup(kept), "w", encoding=shown.encoding, errors=shown.errors) as answer:
            yield answer
    finally:
        shown.flush()
        os.dup2(kept, 1)
        os.close(kept)


@contextmanager
def one_line_deprecations() -> Iterator[None]:
    """Within the block, what goes is said in one line, without the place in the package."""
    shown = warnings.showwarning

    def show(message: Any, category: type[Warning], *place: Any, **more: Any) -> None:
        if issubclass(category, NogsDeprecationWarning):
            print(f"warning: {message}", file=sys.stderr)
        else:
            shown(message, category, *place, **more)

    warnings.showwarning = show
    try:
        yield
    finally:
        warnings.showwarning = shown


class Commands(TyperGroup):
    """A group of commands whose expected failures are one line long."""

    def invoke(self, ctx: Any) -> Any:
        try:
            with one_line_deprecations():
                return super().invoke(ctx)
        except NogsError as error:
            raise _exit(f"error: {error}", FAILED) from error
        except Interrupted as error:
            raise _exit(f"interrupted: {error}", error.status) from error
        except KeyboardInterrupt as error:
            raise _exit("interrupted", INTERRUPTED) from error
        except OSError as error:
            if error.errno not in ENVIRONMENT:
                raise
            where = f"{error.filename}: " if error.filename else ""
            what = f"{where}{error.strerror}; {ENVIRONMENT[error.errno]}"
            raise _exit(f"error: {what}", FAILED) from error


def _exit(line: str, status: int) -> typer.Exit:
    print(" ".join(line.split()), file=sys.stderr)
    return typer.Exit(status)
