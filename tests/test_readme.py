"""README.md: what it shows of runs is what its commands print; what it links to is there."""

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from bench.__main__ import cli

# As in the session that writes them, which needs nox.
SHOWN = re.compile(r"^<!-- (vitbench .*?) -->\n.*?^<!-- end -->$", re.MULTILINE | re.DOTALL)
ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = [(found[1], found[0]) for found in SHOWN.finditer(README)]


@pytest.mark.parametrize(("command", "block"), BLOCKS, ids=[name for name, _ in BLOCKS])
def test_tables_are_what_the_command_prints(
    command: str, block: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Write them again with: nox -s readme."""
    monkeypatch.chdir(ROOT)
    _, *arguments = shlex.split(command)
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 0
    assert block.splitlines()[1:-1] == done.stdout.strip().splitlines()


def test_there_is_something_to_see() -> None:
    """What to choose, and verdicts."""
    assert len(BLOCKS) >= 2
    assert any("--decision" in command for command, _ in BLOCKS)


def test_every_link_inside_the_repository_leads_somewhere() -> None:
    """Pictures and folders."""
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    assert len(links) > 5
    assert [link for link in links if not (ROOT / link).exists()] == []
