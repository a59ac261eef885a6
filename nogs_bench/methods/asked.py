"""Which methods the names of a command stand for, and whether they fit a task's protocol."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from nogs_bench.errors import NogsError
from nogs_bench.methods.check import check_method
from nogs_bench.methods.method import METHODS, Method, find_method
from nogs_bench.tasks import Task, TrainingProtocol


def asked_methods(
    methods: str | Sequence[str], task: Task, plan: TrainingProtocol
) -> dict[str, Method]:
    """The methods of `methods`, comma-separated or a list, by what names them.

    Raises `NogsError` if there is none, two have one name, or one does not fit the protocol.
    """
    given: Any = methods
    names = given.split(",") if isinstance(given, str) else given
    for name in names if isinstance(names, Iterable) else [names]:
        if not isinstance(name, str):
            called = name.name if isinstance(name, Method) else name
            raise NogsError(
                f"method {called}: give its file and name, as 'my_method.py:METHOD', or register "
                "it (nogs_bench.register_method) and give its name"
            )
    specs = dict.fromkeys(name.strip() for name in names if name.strip())
    if not specs:
        raise NogsError(f"no method given; known are {', '.join(METHODS.names())}")
    found: dict[str, Method] = {}
    for spec in specs:
        method = _fitting(find_method(spec), task, plan)
        check_method(method, plan.iterations, plan.pretraining is not None)
        if method.name in {other.name for other in found.values()}:
            raise NogsError(f"two methods are called {method.name!r}; give one another name")
        found[spec] = method
    return found


def _fitting(method: Method, task: Task, plan: TrainingProtocol) -> Method:
    if method.needs_pretraining and plan.pretraining is None:
        raise NogsError(
            f"{method.name} differs from another method only in its pre-training, and protocol "
            f"{plan.name} of {task.name} has none; give a protocol that pre-trains, or leave "
            f"{method.name} out"
        )
    return method
