"""Joins finished tokenize jobs into one directory, in the order given.

They must have the same encoding, format and dtype; what differs is named. nanoGPT's and Megatron-LM's files are joined
into one per split, shards of N tokens are copied and numbered again. Every byte is checked against its SHA-256 on the
way, nothing is changed in the directories that are read, and memguard verify knows the result.

  memguard merge part1 part2 part3 -o data
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from memguard.cli.output import note, write_json
from memguard.cli.token_bar import token_bar
from memguard.units import format_count, format_size

if TYPE_CHECKING:
    from memguard.records.manifest import Manifest

__all__ = ["add_arguments", "main"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("directories", nargs="+", metavar="DIR", help="what memguard tokenize -o DIR wrote")
    parser.add_argument("-o", "--output", required=True, metavar="OUT", help="the directory to write")
    parser.add_argument("--overwrite", action="store_true", help="replace the files of an earlier job in OUT")
    parser.add_argument("--json", action="store_true", help="print the manifest to stdout")
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress and no summary")


def main(arguments: argparse.Namespace) -> int:
    from memguard.tokens.merge import merge

    with token_bar(arguments.quiet) as progress:
        manifest = merge(arguments.directories, arguments.output, overwrite=arguments.overwrite, progress=progress)
    if not arguments.quiet:
        note(_summary(manifest, len(arguments.directories), arguments.output))
    if arguments.json:
        write_json(manifest)
    return 0


def _summary(manifest: Manifest, jobs: int, out: str) -> str:
    tokens = sum(shard.tokens for shard in manifest.shards)
    size = sum(shard.bytes for shard in manifest.shards)
    shards = f"{len(manifest.shards)} file{'' if len(manifest.shards) == 1 else 's'}"
    return (
        f"{format_count(tokens)} {manifest.encoding.name} tokens of {jobs} jobs in {out}: "
        f"{shards}, {format_size(size)}, {manifest.format}, {manifest.dtype}"
    )
