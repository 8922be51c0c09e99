"""Every command that README and docs/ show runs here, in a directory with the files that the pages speak of.

A page shows commands in ```console blocks, a `$ ` before each; a comment says when one ends other than with 0:
`$ memguard run prepare.py train.txt  # exits 75`. A block that cannot run here says ```console no-test.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from memguard.cli.main import COMMANDS, main

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def commands(page: Path) -> list[tuple[str, int]]:
    """(command, expected exit code) of each `$ ` line, continuation lines joined."""
    found = []
    for block in BLOCK.findall(page.read_text(encoding="utf-8")):
        for line in block.replace("\\\n", "").splitlines():
            if line.startswith("$ "):
                code = re.search(r"#\s*exits (\d+)\s*$", line)
                found.append((line[2:], int(code.group(1)) if code else 0))
    return found


@pytest.fixture
def desk(tmp_path: Path, english: str) -> Path:
    """A newcomer's directory: a text, the usual script, its streaming twin, a kernel log."""
    (tmp_path / "train.txt").write_text((english * 8)[:3_000_000], encoding="utf-8")
    for name in ("prepare.py", "prepare_flush.py", "prepare_streaming.py"):
        shutil.copy(ROOT / "examples" / name, tmp_path)
    shutil.copy(ROOT / "tests/data/kills/memcg_v2_scope.kmsg.txt", tmp_path / "kernel.log")
    return tmp_path


@pytest.fixture
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """PATH with this environment's `memguard` and `python` first."""
    bin_directory = tmp_path_factory.mktemp("bin")
    # not a link: through one, a virtual environment's Python finds no packages of its own
    for name, module in (("python", ""), ("memguard", "-m memguard")):
        (bin_directory / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {module} "$@"\n')
        (bin_directory / name).chmod(0o755)
    path = f"{bin_directory}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}


# Those with commands of the same kinds as other pages, README among them; a `python -c` line needs no memguard.
SLOW = ("memory-terms.md", "estimate.md", "fix.md", "verify.md", "merge.md", "watch.md", "inspect.md")


@pytest.mark.parametrize(
    "page",
    [pytest.param(p, marks=[pytest.mark.slow] if p.name in SLOW else []) for p in PAGES if commands(p)],
    ids=lambda p: p.name,
)
def test_every_documented_command_runs(page: Path, desk: Path, environment: dict[str, str]) -> None:
    for command, expected in commands(page):
        result = subprocess.run(
            ["sh", "-c", command], cwd=desk, env=environment, capture_output=True, text=True, timeout=120
        )
        shown = f"$ {command}\n{result.stdout}{result.stderr}"
        assert result.returncode == expected, shown
        assert "Traceback" not in result.stderr, shown


def test_every_command_has_a_page() -> None:
    for name in COMMANDS:
        assert (ROOT / "docs" / f"{name}.md").exists(), f"docs/{name}.md"
        assert f"({name}.md)" in (ROOT / "docs/index.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_link_inside_the_project_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name}: {target}"


@pytest.fixture(scope="module")
def helps() -> dict[str, str]:
    """What `memguard COMMAND --help` says, by command."""
    shown = {}
    for name in COMMANDS:
        with contextlib.redirect_stdout(io.StringIO()) as out:
            assert main([name, "--help"]) == 0
        shown[name] = out.getvalue()
    return shown


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_option_that_a_page_names_exists(page: Path, helps: dict[str, str]) -> None:
    for name, options in re.findall(r"memguard (\w+)((?: [^\s`|>·]+)*)", page.read_text(encoding="utf-8")):
        ours = options.split(" -- ")[0].split(".py")[0]
        for option in re.findall(r"(?<= )--[a-z][a-z-]*", ours):
            if name in helps:
                assert option in helps[name], f"{page.name}: memguard {name} has no {option}"


def test_ci_runs_the_commands_of_the_readme() -> None:
    readme, ci = (
        (ROOT / "README.md").read_text(encoding="utf-8"),
        (ROOT / ".ci/run").read_text(encoding="utf-8"),
    )
    for command in ("pip install -e . && memguard demo", "pip install -e '.[test]' && pytest"):
        assert command in readme and command in ci
