"""Changes the lines of a script that eat its memory, so that it streams to the
same output bytes: lists become memguard.TokenBuffer, a text stays in its file,
tiktoken's encoder becomes memguard's. Nothing else is touched.

The diff goes to stdout (git apply takes it), the report to stderr: each line,
what it holds then, memory, time and disk before and after. Nothing is run, and
without --write nothing is changed. FILEs are what the script reads; without
them the figures are for those that it names, or for 100 MB of English.

  memguard fix prepare.py train.txt           show the diff
  memguard fix prepare.py train.txt --write   change prepare.py
  memguard fix prepare.py --verify train.txt  run both on a slice, and compare
  memguard fix prepare.py --check             exit 1 when it can be fixed
  memguard run --fix prepare.py               run it fixed, the file as it is

A line with # memguard: ignore, or ignore[rule], stays as it is.

exit codes: 0 done, or nothing to do; 1 --check found something, or --verify a
difference; 2 usage, or git has changes of the script in no commit; 3 a file
cannot be read
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import shlex
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from memguard.cli.estimate_bar import progress_bar
from memguard.cli.output import note, terminal_width, use_color, write_json, write_report, write_text
from memguard.errors import ConfigError

if TYPE_CHECKING:
    from memguard.fix.job import Fixed
    from memguard.fix.propose import Asked

__all__ = ["add_arguments", "main"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("script", nargs="?", metavar="SCRIPT", help="the script, or - for stdin")
    parser.add_argument("files", nargs="*", metavar="FILE", help="what it reads: the figures are for these")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--diff", action="store_true", help="the diff alone, without the report")
    where.add_argument("--check", action="store_true", help="change and print nothing; exit 1 if it can be fixed")
    where.add_argument("--write", action="store_true", help="change SCRIPT itself")
    where.add_argument("-o", "--output", metavar="FILE", help="write the fixed script there; - is stdout")
    parser.add_argument("--force", action="store_true", help="--write even where git has no commit of SCRIPT's changes")
    parser.add_argument("--json", action="store_true", help="print the record as JSON, the diff in it")
    parser.add_argument("--only", action="append", metavar="RULE", help="these rules alone; may be repeated")
    parser.add_argument("--skip", action="append", metavar="RULE", help="without these rules; may be repeated")
    parser.add_argument(
        "--unsafe", action="store_true", help="also what gives the same files, but not the same all over"
    )
    parser.add_argument("--list-rules", action="store_true", help="show the rules and their levels")
    parser.add_argument("--verify", metavar="FILE", help="run SCRIPT and the fixed one on a slice of FILE, and compare")
    parser.add_argument("--args", metavar="ARGS", help="SCRIPT's own arguments, in one word; {} is --verify's FILE")
    parser.add_argument("--limit", metavar="SIZE", help="what the job may use, such as 8GiB or 50%%")
    parser.add_argument("--size", metavar="SIZE", help="figures for a text that is not here; with --like")
    parser.add_argument("--like", metavar="KIND|FILE", help="english, multilingual, code, or a part of the text")


def main(arguments: argparse.Namespace) -> int:
    if arguments.list_rules:
        return _list_rules()
    if arguments.script is None:
        raise ConfigError("which script?", "memguard fix prepare.py train.txt")
    _check(arguments)
    from memguard.estimate.job import read_job_limits
    from memguard.fix.job import fix_script

    limits = read_job_limits(limit=arguments.limit)
    files = tuple(arguments.files) or ((arguments.verify,) if arguments.verify and not arguments.size else ())
    with _script(arguments.script) as path, progress_bar() as progress:
        fixed = fix_script(
            path,
            files,
            arguments=_words(arguments.args),
            limits=limits,
            asked=_asked(arguments),
            size=arguments.size,
            like=arguments.like,
            progress=progress,
        )
        if arguments.verify and fixed.record.edits:
            fixed = _verified(fixed, arguments)
    if arguments.script == "-":
        fixed = dataclasses.replace(fixed, record=dataclasses.replace(fixed.record, script="-"))
    return _show(fixed, arguments)


def _check(arguments: argparse.Namespace) -> None:
    if arguments.script == "-" and arguments.write:
        raise ConfigError("--write needs a file: stdin cannot be changed", "memguard fix - -o FILE")
    if arguments.json and (arguments.diff or arguments.output == "-"):
        raise ConfigError("--json and the diff would share stdout", "the diff is in the JSON")


@contextmanager
def _script(name: str) -> Iterator[str]:
    """The path of the script; stdin in a file of its own meanwhile."""
    if name != "-":
        yield name
        return
    with tempfile.TemporaryDirectory(prefix="memguard-fix-") as directory:
        path = os.path.join(directory, "stdin.py")
        with open(path, "wb") as file:
            file.write(sys.stdin.buffer.read())
        yield path


def _words(typed: str | None) -> tuple[str, ...] | None:
    try:
        return None if typed is None else tuple(shlex.split(typed))
    except ValueError as error:
        raise ConfigError(f"--args: {error}", "quote as a shell does: --args '--input \"my text.txt\"'") from None


def _asked(arguments: argparse.Namespace) -> Asked:
    from memguard.fix.changes import RULES
    from memguard.fix.propose import Asked

    names: dict[str, frozenset[str]] = {}
    for flag in ("only", "skip"):
        given = [word for words in getattr(arguments, flag) or () for word in words.split(",") if word]
        unknown = [word for word in given if word not in RULES]
        if unknown:
            raise ConfigError(f"--{flag}: no such rule: {unknown[0]}", f"one of {', '.join(RULES)}")
        names[flag] = frozenset(given)
    return Asked(names["only"], names["skip"], arguments.unsafe)


def _list_rules() -> int:
    from memguard.fix.changes import RULES
    from memguard.report.fix import rule_list

    rows = [(rule.name, rule.level, rule.words, rule.holds) for rule in RULES.values()]
    write_text(rule_list(rows, width=terminal_width(sys.stdout), color=use_color(sys.stdout)))
    return 0


def _verified(fixed: Fixed, arguments: argparse.Namespace) -> Fixed:
    from memguard.fix.verify import verify

    found = verify(fixed, arguments.verify, _words(arguments.args))
    return dataclasses.replace(fixed, record=dataclasses.replace(fixed.record, verify=found))


def _show(fixed: Fixed, arguments: argparse.Namespace) -> int:
    record = fixed.record
    if arguments.json:
        write_json(record)
    elif not arguments.diff and not arguments.check:
        from memguard.report.fix import render

        write_report(render(record, width=terminal_width(sys.stderr), color=use_color(sys.stderr)))
    if arguments.output == "-":
        _write_bytes(fixed.fixed_source.encode(fixed.encoding))
    elif arguments.output:
        _written(fixed, arguments.output)
    elif arguments.write:
        _write(fixed, arguments)
    elif not arguments.json and not arguments.check:
        _write_bytes(fixed.diff)
    if record.verify is not None and not record.verify.same:
        return 1
    if arguments.check and fixed.changed:
        if not arguments.json:
            note(f"memguard: {record.script} can be fixed: {_lines(fixed)}; memguard fix {record.script} shows how")
        return 1
    return 0


def _lines(fixed: Fixed) -> str:
    numbers = sorted({edit.line for edit in fixed.record.edits})
    return f"line{'s' * (len(numbers) > 1)} {', '.join(map(str, numbers))}"


def _write(fixed: Fixed, arguments: argparse.Namespace) -> None:
    from memguard.fix.job import uncommitted

    if not fixed.changed:
        return
    path = arguments.script
    state = uncommitted(path)
    if state == "changes" and not arguments.force:
        raise ConfigError(
            f"{path} has changes that are in no commit of git's: nothing is written",
            "commit them, so that the fix can be undone; or --force",
        )
    _written(fixed, path)
    if state == "clean":
        note(f"memguard: {path} is changed; undo: git checkout -- {shlex.quote(path)}")
    else:
        note(f"memguard: {path} is changed; undo: the diff above, with patch -R")
        _write_bytes(fixed.diff)


def _written(fixed: Fixed, path: str) -> None:
    from memguard.fix.job import write_fixed

    write_fixed(fixed, path)


def _write_bytes(data: bytes) -> None:
    """The script's own bytes, whatever its encoding and its line ends are."""
    sys.stdout.flush()
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
