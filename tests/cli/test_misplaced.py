"""Options of memguard's behind the script: when that is worth a line, and which."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from memguard.cli import run
from memguard.cli.misplaced import FLAGS, VALUES, misplaced


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    (tmp_path / "s.py").write_text("import sys\nprint(sys.argv)\n")
    return tmp_path


def test_the_options_are_those_that_run_has() -> None:
    parser = argparse.ArgumentParser()
    run.add_arguments(parser)
    actions = [action for action in parser._actions if action.dest not in ("help", "module", "command")]
    flags = {option for action in actions if action.nargs == 0 for option in action.option_strings}
    values = {option for action in actions if action.nargs != 0 for option in action.option_strings}
    assert flags == set(FLAGS) and values == set(VALUES)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            "s.py --limit 1G",
            "--limit 1G after s.py goes to the script; for memguard write: memguard run --limit 1G s.py",
        ),
        (
            "s.py --limit=1G",
            "--limit=1G after s.py goes to the script; for memguard write: memguard run --limit=1G s.py",
        ),
        (
            "s.py in.txt -q --fence on",
            "-q --fence on after s.py go to the script; for memguard write: memguard run -q --fence on s.py …",
        ),
        ("s.py --limit", None),
        ("s.py -- --limit 1G", None),
        ("s.py --help --limits 3 --verbose", None),
        ("s.py", None),
    ],
)
def test_a_script(words: str, line: str | None) -> None:
    assert misplaced(words.split(), module=False) == line


@pytest.mark.parametrize(
    "source",
    [
        'parser.add_argument("--limit")',
        "@click.option('--limit-tokens')",
        '"""usage: s.py [--limit N]"""',
        "import typer\ndef main(limit: int): ...\ntyper.run(main)",
        "from fire import Fire\ndef main(limit): ...\nFire(main)",
        "from transformers import HfArgumentParser\nclass A:\n    limit: int",
        "from options import parser",
        "import options.more, sys",
    ],
)
def test_not_where_the_script_knows_the_option(source: str, here: Path) -> None:
    (here / "s.py").write_text(source)
    (here / "options.py").write_text('parser.add_argument("--limit")')
    assert misplaced(["s.py", "--limit", "1G"], module=False) is None or source == "import options.more, sys"


def test_a_module_and_its_package(here: Path) -> None:
    (here / "package").mkdir()
    (here / "package" / "__main__.py").write_text("from package.cli import main\nmain()\n")
    (here / "package" / "cli.py").write_text("def main(): ...\n")
    line = "--limit 1G after -m package goes to the module; for memguard write: memguard run --limit 1G -m package"
    assert misplaced(["package", "--limit", "1G"], module=True) == line
    (here / "package" / "cli.py").write_text('parser.add_argument("--limit")\n')
    assert misplaced(["package", "--limit", "1G"], module=True) is None
    assert misplaced(["installed.elsewhere", "--limit", "1G"], module=True) is None


def test_what_cannot_be_read_is_no_error(here: Path) -> None:
    (here / "d.py").mkdir()
    (here / "loop.py").symlink_to("loop.py")
    for name in ("d.py", "loop.py", "missing.py"):
        assert misplaced([name, "--limit", "1G"], module=False) is None
    (here / "bytes.py").write_bytes(bytes(range(256)) * 10)
    assert misplaced(["bytes.py", "--limit", "1G"], module=False)
