"""What the shell offers while a command is typed: `one` name of a kind, or `several`.

In comes what is typed so far; out come the names that it may become, from `names.json`.
"""

from nogs_bench.cli.shell.completion import FILE, one, registered, several, write

__all__ = ["FILE", "one", "registered", "several", "write"]
