"""Where a script begins: what its command line calls, and what its numbers are on this machine."""

from __future__ import annotations

import pytest

from memguard.script.read import read_script
from memguard.script.trace import Trace
from tests.estimate.script_texts import BASELINE, M, read, unread_lines, weigh

HEAD = """\
import os, sys, argparse, multiprocessing as mp, numpy as np, tiktoken
enc = tiktoken.get_encoding("gpt2")
def prepare(path: str, out: str = "all.bin", most: int = 10):
    text = open(path, encoding="utf-8").read()
    np.array(enc.encode_ordinary(text), dtype=np.uint16).tofile(out)
def count(path="a.txt"):
    print(sum(1 for _ in open(path)))
"""
# Each calls prepare(), and may call count().
ENTRIES = {
    "jsonargparse": "from jsonargparse import CLI\nif __name__ == '__main__':\n    CLI(prepare, as_positional=True)\n",
    "auto_cli": "from jsonargparse import auto_cli\nauto_cli([prepare, count])\n",
    "fire": "import fire\nif __name__ == '__main__':\n    fire.Fire(prepare)\n",
    "fire, a dict": "import fire\nfire.Fire({'prepare': prepare, 'count': count})\n",
    "fire, the module": "import fire\nfire.Fire()\n",
    "fire, a class": """
class Commands:
    def __init__(self, root: str = "."):
        self.root = root
    def prepare(self, path):
        prepare(os.path.join(self.root, path))
    def _hidden(self):
        raise ValueError
import fire
fire.Fire(Commands)
""",
    "typer.run": "import typer\ndef main(path: str = typer.Argument(...), n=3):\n    prepare(path)\ntyper.run(main)\n",
    "typer app": """
import typer
from typing_extensions import Annotated
app = typer.Typer(help="data")
@app.command()
def main(path: Annotated[str, typer.Argument()], out: str = "all.bin"):
    prepare(path, out)
@app.command("count")
def other(path: str):
    count(path)
if __name__ == "__main__":
    app()
""",
    "click": """
import click
@click.command()
@click.argument("path")
@click.option("--out", "-o", default="all.bin", help="where")
def main(path, out):
    prepare(path, out)
main()
""",
    "click group": """
import click
@click.group()
def cli():
    pass
@cli.command()
@click.option("--path", type=click.Path(exists=True), required=True)
def run(path):
    prepare(path)
@cli.command()
@click.argument("path")
def lines(path):
    count(path)
if __name__ == "__main__":
    cli()
""",
    "tyro": "import tyro\ntyro.cli(prepare)\n",
    "tyro settings": """
import tyro
from dataclasses import dataclass
@dataclass
class Settings:
    path: str
    out: str = "all.bin"
settings = tyro.cli(Settings)
prepare(settings.path, settings.out)
""",
    "HfArgumentParser": """
from dataclasses import dataclass, field
from typing import Optional
from transformers import HfArgumentParser
@dataclass
class Data:
    path: Optional[str] = field(default=None, metadata={"help": "a file"})
@dataclass
class Other:
    n: int = 3
data, other = HfArgumentParser((Data, Other)).parse_args_into_dataclasses()
prepare(data.path)
""",
    "hydra": """
import hydra
@hydra.main(config_path="conf", config_name="data", version_base=None)
def main(cfg):
    prepare(cfg.data.path)
main()
""",
    "vars(args)": """
def main(path, n=3):
    prepare(path)
parser = argparse.ArgumentParser()
parser.add_argument("path")
parser.add_argument("--n", type=int, default=3)
main(**vars(parser.parse_args()))
""",
    "args.func": """
parser = argparse.ArgumentParser()
commands = parser.add_subparsers()
a = commands.add_parser("prepare")
a.add_argument("path")
a.set_defaults(func=lambda args: prepare(args.path))
b = commands.add_parser("count")
b.set_defaults(func=lambda args: count(args.path))
args = parser.parse_args()
args.func(args)
""",
    "store_const": """
parser = argparse.ArgumentParser()
parser.add_argument("path")
parser.add_argument("--count", dest="func", action="store_const", const=lambda args: count(args.path))
parser.set_defaults(func=lambda args: prepare(args.path))
args = parser.parse_args()
args.func(args)
""",
    "a dict of commands": "COMMANDS = {'prepare': prepare, 'count': count}\nCOMMANDS[sys.argv[1]](*sys.argv[2:])\n",
    "globals()": "globals()[sys.argv[1]](sys.argv[2])\n",
    "absl": "from absl import app, flags\nF = flags.FLAGS\ndef main(_):\n    prepare(F.input)\napp.run(main)\n",
}


@pytest.mark.parametrize("name", ENTRIES)
def test_what_the_command_line_calls_is_read(name: str) -> None:
    report = weigh(HEAD + ENTRIES[name])
    assert report.unrecognised == ()
    weighs = "import transformers\n" * ("import HfArgumentParser" in ENTRIES[name])  # its import, which has a price
    assert report.plan.peak == weigh(weighs + HEAD + "prepare(sys.argv[1])\n").plan.peak
    assert report.plan.peak.expected - BASELINE >= 900 * M


def test_a_function_that_an_unknown_call_gets_is_read_as_called() -> None:
    source = HEAD + "import other\nother.run(lambda: prepare('a'))\n"
    report = weigh(source)
    assert unread_lines(read(source)) == [9]
    assert report.plan.peak.expected - BASELINE >= 900 * M
    assert any(step.kind == "encode" for step in report.plan.steps)


def test_functions_that_call_one_another_back_end() -> None:
    source = (
        "import other\ndef f(x):\n return other.run(g, x)\ndef g(x):\n return other.run(f, x)\nother.run(f, open)\n"
    )
    assert not read(source).unfinished


# -- cores ------------------------------------------------------------------------------------------------------------


def workers(expression: str, cores: int | None = 8) -> tuple[str | None, list[int]]:
    source = f"{HEAD}def work(line):\n    return enc.encode(line)\n" + f"with mp.Pool({expression}) as pool:\n"
    trace: Trace = read_script(
        source + "    for ids in pool.imap(work, open('a')):\n        pass\n", "s.py", None, cores
    )
    return trace.parameters.get("workers"), unread_lines(trace)


@pytest.mark.parametrize(
    ("expression", "count"),
    [
        ("", 8),
        ("None", 8),
        ("mp.cpu_count()", 8),
        ("os.cpu_count() or 1", 8),
        ("processes=os.cpu_count() // 2", 4),
        ("max(1, os.cpu_count() - 2)", 6),
        ("min(4, os.cpu_count())", 4),
        ("len(os.sched_getaffinity(0))", 8),
        ("max(1, int(os.cpu_count() * 0.75))", 6),
        ("3", 3),
    ],
)
def test_a_pool_of_this_machines_cores(expression: str, count: int) -> None:
    assert workers(expression) == (str(count), [])


def test_a_machine_that_is_not_known_is_listed() -> None:
    assert workers("mp.cpu_count()", None) == (None, [11])
