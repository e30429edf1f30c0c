"""The pages of the manual as text, with their commands, code and headings."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from bench.__main__ import cli

# The same pattern as in the nox session that refreshes the blocks.
SHOWN = re.compile(r"^<!-- (vitbench .*?) -->\n.*?^<!-- end -->$", re.MULTILINE | re.DOTALL)
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ROOT = Path(__file__).parents[2]
NAMES = ("README.md", "CONTRIBUTING.md", "results/README.md")
PAGES = {
    str(path.relative_to(ROOT)): path.read_text("utf-8")
    for path in [*(ROOT / name for name in NAMES), *sorted((ROOT / "docs").glob("*.md"))]
}


def blocks(language: str) -> list[Any]:
    """Return the fenced blocks of one language as test cases named by page and number."""
    return [
        pytest.param(found[2], id=f"{page}-{number}")
        for page, text in PAGES.items()
        for number, found in enumerate(FENCE.finditer(text))
        if found[1] == language
    ]


def commands() -> list[Any]:
    """Return every command line of the console blocks as test cases."""
    lines = [
        line.removeprefix("$ ")
        for text in PAGES.values()
        for found in FENCE.finditer(text)
        for line in found[2].splitlines()
        if found[1] == "console" and line.startswith("$ ")
    ]
    parts = (part.strip() for line in lines for part in line.split("&&"))
    return [pytest.param(part, id=part[:60]) for part in dict.fromkeys(parts)]


def inline(page: str) -> list[str]:
    """Return the code spans of a page's text with blanks collapsed."""
    text = FENCE.sub("", SHOWN.sub("", PAGES[page]))
    return [" ".join(found.split()) for found in re.findall(r"(?<!`)`([^`]+)`(?!`)", text)]


def parsed(words: list[str]) -> tuple[str, dict[str, Any]]:
    """Parse a vitbench command line without running it; return the command's name and values.

    Raises click.ClickException for an unknown command or option, or a wrong value.
    """
    command: click.Command = cli
    name = "vitbench"
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        name, *words = words
        if name not in command.commands:
            raise click.UsageError(f"there is no command {name!r}")
        command = command.commands[name]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(click, "echo", lambda *_, **__: None)
        try:
            return name, command.make_context(name, words).params
        except click.exceptions.Exit:  # --help
            return name, {}


def option_names(command: click.Command) -> Iterator[str]:
    """Yield the options of a command and of its subcommands."""
    for each in command.params:
        yield from (*each.opts, *each.secondary_opts)
    if isinstance(command, click.Group):
        for below in command.commands.values():
            yield from option_names(below)


def nox_sessions() -> set[str]:
    """Return the names of the sessions in noxfile.py."""
    tree = ast.parse((ROOT / "noxfile.py").read_text("utf-8"))
    return {
        each.name
        for each in tree.body
        if isinstance(each, ast.FunctionDef)
        and any(ast.unparse(mark).startswith("nox.session") for mark in each.decorator_list)
    }


def anchors(text: str) -> set[str]:
    """Return the anchors that GitHub generates for a page's headings."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}


def steps(text: str) -> list[str]:
    """Split a page into its list items and paragraphs."""
    return re.split(r"\n\n|\n(?=\s*(?:[-*]|\d+\.)\s)", FENCE.sub("", text))
