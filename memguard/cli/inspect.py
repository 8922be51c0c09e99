"""Shows what a token file holds: layout, number of tokens, the text at both ends, and how its ids are spread.

Reads nanoGPT's .bin, NumPy's .npy, llm.c's .bin and Megatron-LM's .bin with its .idx, and says what it told them by.
The encoding comes from the manifest beside the file, or is guessed from the largest id.

  memguard inspect data/train.bin
  memguard inspect train.bin --dtype uint32 --encoding cl100k_base
"""

from __future__ import annotations

import argparse
import sys

from memguard.cli.output import terminal_width, use_color, write_json, write_text

__all__ = ["add_arguments", "main"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a token file (of Megatron-LM's, the .bin)")
    parser.add_argument("--encoding", metavar="NAME", help="tiktoken's name of the encoding, where you know it")
    parser.add_argument("--dtype", choices=("uint16", "uint32"), help="of ids without a header, where you know it")
    parser.add_argument("--json", action="store_true", help="print a memguard.inspect/1 record")


def main(arguments: argparse.Namespace) -> int:
    from memguard.tokens.check.inspect import inspect

    report = inspect(arguments.file, encoding=arguments.encoding, dtype=arguments.dtype)
    if arguments.json:
        write_json(report)
    else:
        from memguard.report.inspect import render

        write_text(render(report, width=terminal_width(sys.stdout), color=use_color(sys.stdout)))
    return 0
