"""Proves that token files are complete and hold exactly the text that they were made from.

Checks every file that the manifest names (size, header, SHA-256, ids), looks for files that a loader would read by
mistake, and turns the tokens back into bytes, which must be the source's, one by one, with the end-of-text tokens
exactly where documents end. Everything is streamed; nothing is changed.

  memguard verify data
  memguard verify data --source /new/place/train.txt
  memguard verify data --no-text

exit codes: 0 all is well, 1 something is wrong, 3 the manifest or the source cannot be read
"""

from __future__ import annotations

import argparse
import sys

from memguard.cli.output import terminal_width, use_color, write_json, write_text
from memguard.cli.token_bar import token_bar
from memguard.errors import ConfigError

__all__ = ["add_arguments", "main"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("directory", metavar="DIR", help="what memguard tokenize -o DIR wrote")
    parser.add_argument(
        "--source",
        action="append",
        metavar="FILE",
        help="the source, where it has moved since; once for each input, in their order",
    )
    parser.add_argument("--no-text", action="store_true", help="files and ids only, without reading the source")
    parser.add_argument("--json", action="store_true", help="print a memguard.verify/1 record")
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress")


def main(arguments: argparse.Namespace) -> int:
    from memguard.tokens.check.verify import verify

    if arguments.no_text and arguments.source:
        raise ConfigError("--source and --no-text exclude each other", "give one of them")
    with token_bar(arguments.quiet) as progress:
        report = verify(arguments.directory, text=not arguments.no_text, sources=arguments.source, progress=progress)
    if arguments.json:
        write_json(report)
    else:
        from memguard.report.verify import render

        write_text(render(report, width=terminal_width(sys.stdout), color=use_color(sys.stdout)))
    return 0 if report.ok else 1
