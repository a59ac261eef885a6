"""The reference of all commands and options, written from the program itself.

python docs/commands.py            # writes docs/commands.md
python docs/commands.py --check    # writes nothing, and fails if it is outdated
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main

from nogs_bench.cli import app

PAGE = Path(__file__).parent / "commands.md"
PROGRAM = "nogs-bench"
START = """# Commands

Every command of the program with its options. `nogs-bench COMMAND --help` prints the same.

In the usage lines, a word in capitals stands for something that you give in that place. What is in
square brackets may be left out, and the dots stand for the other options. In the tables, what is
bold must be given.

A file that is there is not replaced without `--replace`. Calls in Python replace it.
`python docs/commands.py` writes this page.
"""


def main() -> None:
    text = page()
    current = PAGE.is_file() and PAGE.read_text(encoding="utf-8") == text
    if "--check" in sys.argv[1:]:
        if not current:
            sys.exit(f"{PAGE.name} is outdated; run python docs/commands.py")
    else:
        PAGE.write_text(text, encoding="utf-8")


def page() -> str:
    """The whole page, Markdown."""
    program = typer.main.get_command(app)
    return "\n".join([START, *(section(words, each) for words, each in leaves(program))])


def leaves(command: Any, words: tuple[str, ...] = (PROGRAM,)) -> Iterator[tuple[str, Any]]:
    """Each command that does something, with the words that call it.

    A group is known by its `commands`: typer brings classes of its own from 0.29 on.
    """
    inside = getattr(command, "commands", None)
    if inside is None:
        yield " ".join(words), command
        return
    for name, each in inside.items():
        if not each.hidden:
            yield from leaves(each, (*words, name))


def section(words: str, command: Any) -> str:
    """One command: its purpose and a table of what it takes."""
    lines = [f"## {words.removeprefix(PROGRAM).strip()}", "", (command.help or "").strip(), ""]
    places = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option" and not p.hidden]
    given = [place(p) if p.required else f"[{place(p)}]" for p in places]
    given += [f"{p.opts[0]} {p.name.upper()}" for p in options if p.required]
    lines += ["```text", " ".join((words, *given, "...")), "```", ""]
    rows = [row(place(p), p) for p in places]
    rows += [row(", ".join((*p.opts, *p.secondary_opts)), p) for p in options]
    if rows:
        lines += ["| what | meaning | default |", "| --- | --- | --- |", *rows, ""]
    return "\n".join(lines)


def place(argument: Any) -> str:
    """What stands for an argument in the usage."""
    return (argument.metavar or argument.name).strip("{}").upper()


def row(name: str, parameter: Any) -> str:
    """A line of the table."""
    value = parameter.opts[0] if parameter.default is True else parameter.default
    shown = "" if value is None or value is False or callable(value) else f"`{value}`"
    text = (getattr(parameter, "help", None) or "").replace("|", "\\|").replace("<", "&lt;")
    name = f"**`{name}`**" if parameter.required else f"`{name}`"
    return f"| {name} | {' '.join(text.split())} | {shown} |"


if __name__ == "__main__":
    main()
