"""What a script reads where its own arguments are known."""

from __future__ import annotations

import pytest

from memguard.script.operations.command_line import Option, argv, given_options
from memguard.script.read import read_script
from memguard.script.values import UNKNOWN, Constant, Number, Path, Sequence

PARSER = """\
import argparse
parser = argparse.ArgumentParser()
parser.add_argument("files", nargs="*")
parser.add_argument("--input", "-i", default="default.txt")
parser.add_argument("--extra")
parser.add_argument("--chunk", type=int, default=1000)
parser.add_argument("--whole", action="store_true")
args = parser.parse_args()
text = open(args.input).read() if args.whole else open(args.input).read(args.chunk)
"""


def read(source: str, *words: str) -> tuple[tuple[str, ...], bool]:
    """(the inputs that it names, whether something of all of the input is held)"""
    trace = read_script(source, "prepare.py", words=words)
    assert not trace.unrecognised
    whole = any(
        held.kind in ("text", "ids") and not any(part.windows for part in held.parts)
        for moment in trace.moments
        for held in moment.alive
    )
    return trace.inputs, whole


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), (("default.txt",), False)),
        (("--input", "a.txt"), (("a.txt",), False)),
        (("--input=a.txt", "--whole"), (("a.txt",), True)),
        (("-i", "dir/a", "--chunk", "20"), (("dir/a",), False)),
        (("--inp", "a.txt"), (("a.txt",), False)),  # an abbreviation
        (("b.txt", "-i", "a.txt", "--", "--whole"), (("a.txt",), False)),
    ],
)
def test_argparse(words: tuple[str, ...], expected: tuple[tuple[str, ...], bool]) -> None:
    assert read(PARSER, *words) == expected


@pytest.mark.parametrize(
    "source",
    [
        "import sys\ntext = open(sys.argv[1]).read()\n",
        "from sys import argv\ntext = open(argv[1]).read()\n",
        "import sys\n_, path, size = sys.argv\ntext = open(path).read()\n",
        "import sys\nfor path in sys.argv[1:2]:\n    text = open(path).read()\n",
        "import fire\ndef main(path, size=1): text = open(path).read()\nfire.Fire(main)\n",
        "import typer\ndef main(path: str, size: int): text = open(path).read()\ntyper.run(main)\n",
        "import click\n@click.command()\n@click.argument('path')\n@click.argument('size', type=int)\n"
        "def main(path, size): text = open(path).read()\nmain()\n",
    ],
)
def test_places(source: str) -> None:
    assert read(source, "a.txt", "12") == (("a.txt",), True)


def test_sub_commands_are_no_arguments() -> None:
    source = (
        "import argparse\nparser = argparse.ArgumentParser()\ncommands = parser.add_subparsers()\n"
        "count = commands.add_parser('count')\ncount.add_argument('path')\nargs = parser.parse_args()\n"
        "text = open(args.path).read()\n"
    )
    assert read(source, "count", "a.txt") == (("a.txt",), True)


def test_a_flag_that_stores_a_function_may_be_given_or_not() -> None:
    source = (
        "import argparse\ndef count(path): text = open(path).read()\nparser = argparse.ArgumentParser()\n"
        "parser.add_argument('path')\n"
        "parser.add_argument('--count', dest='run', action='store_const', const=count)\nargs = parser.parse_args()\n"
        "args.run(args.path)\n"
    )
    assert read(source, "a.txt", "--count") == (("a.txt",), True)


def test_words_have_the_type_of_their_option() -> None:
    options = [
        Option("many", ("--many",), takes=2),
        Option("count", ("--count",), kind="int"),
        Option("rate", ("--rate",), default=Number(0.1)),
        Option("on", ("--on", "--no-on"), takes=0, default=Constant(True)),
        Option("off", ("--off",), takes=0, default=Constant(False)),
        Option("stored", ("--stored",), takes=0),
        Option("word", positional=True),
        Option("path", positional=True),
    ]
    words = ("gpt2", "--many", "a.txt", "b.txt", "--count", "-3", "--rate=1e-3", "--no-on", "./b", "--unknown")
    assert given_options(options, words) == {
        "many": Sequence_of("many", "a.txt", "b.txt"),
        "count": Number(-3.0),
        "rate": Number(0.001),
        "on": Constant(False),
        "off": Constant(False),
        "word": Constant("gpt2"),
        "path": Path("./b", True, False, "path"),
    }
    assert given_options(options, ("--count", "many")) | {"on": None, "off": None} == {
        "count": UNKNOWN,
        "on": None,
        "off": None,
    }


class Sequence_of:  # noqa: N801 (stands for a value)
    """Equal to a Sequence of these paths: Sequences are compared by identity."""

    def __init__(self, name: str, *words: str) -> None:
        self.paths = [Path(word, True, False, name) for word in words]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and other.items == self.paths

    __hash__ = None  # type: ignore[assignment]


def test_argv_has_the_script_first() -> None:
    assert argv("prepare.py", ("a.txt", "0.1")).items == [
        Constant("prepare.py"),
        Path("a.txt", True, False, "argv[1]"),
        Constant("0.1"),
    ]
