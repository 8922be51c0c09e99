"""Stream text files into token files, with bounded memory and exactly tiktoken's tokens.

Writes train.bin and val.bin (nanoGPT's layout: token ids one after the other, no header) and manifest.json into one
directory. Each FILE is one text; its tokens are those of tiktoken's encode_ordinary(text). Nothing stands under its
final name before it is complete.

  memguard tokenize train.txt -o data
  memguard tokenize part1.txt part2.txt -o data --eot --val-fraction 0.01
  zcat big.txt.gz | memguard tokenize - -o data --val-fraction 0
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from memguard.cli.output import terminal_width, use_color, write_json
from memguard.errors import ConfigError
from memguard.records.manifest import Manifest
from memguard.units import format_count, format_duration, format_rate, format_size, parse_size

if TYPE_CHECKING:
    from types import FrameType

    from memguard.tokens.job import Progress

__all__ = ["add_arguments", "main"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", metavar="FILE", help="UTF-8 text; - is stdin")
    parser.add_argument("-o", "--output", metavar="DIR", help="default: FILE's name with _tokens, in this directory")
    parser.add_argument("--encoding", default="gpt2", metavar="NAME", help="tiktoken's name of it (default: gpt2)")
    parser.add_argument(
        "--val-fraction",
        type=float,
        default=0.1,
        metavar="F",
        help="this share of the bytes, from the end, goes to val.bin; 0 writes train.bin alone (default: 0.1)",
    )
    parser.add_argument("--eot", action="store_true", help="append the end-of-text token after each file")
    parser.add_argument(
        "--errors",
        choices=("strict", "replace", "ignore"),
        default="strict",
        help="bytes that are not UTF-8: stop and name the place, put U+FFFD, or leave out (default: strict)",
    )
    parser.add_argument("--workers", type=int, metavar="N", help="threads (default: cores, as far as memory allows)")
    parser.add_argument(
        "--max-memory",
        default="256M",
        metavar="SIZE",
        help="anonymous memory of the whole job, at most; 10%% is of this machine's (default: 256M)",
    )
    parser.add_argument(
        "--engine", choices=("auto", "gigatoken", "tiktoken"), default="auto", help="default: the faster exact one"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the files of an earlier job in DIR")
    parser.add_argument("--json", action="store_true", help="print the manifest to stdout")
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress and no summary")


def main(arguments: argparse.Namespace) -> int:
    out = arguments.output or _default_directory(arguments.files[0])
    if arguments.workers is not None and arguments.workers < 1:
        raise ConfigError(
            f"--workers must be at least 1: {arguments.workers}", "leave it out to use the cores there are"
        )
    max_memory = parse_size(arguments.max_memory, total=_total_memory())
    show = _Display(arguments.quiet)
    try:
        with _signals_unwind(), show.live() as progress:
            from memguard.tokens.job import tokenize

            manifest = tokenize(
                arguments.files,
                out,
                encoding=arguments.encoding,
                val_fraction=arguments.val_fraction,
                eot=arguments.eot,
                errors=arguments.errors,
                engine=arguments.engine,
                workers=arguments.workers,
                max_memory=max_memory,
                overwrite=arguments.overwrite,
                progress=progress,
            )
    except (_Ended, KeyboardInterrupt) as end:
        print("memguard tokenize: stopped; no file was left behind", file=sys.stderr)
        return 128 + (end.number if isinstance(end, _Ended) else signal.SIGINT)
    if not arguments.quiet:
        show.summary(manifest, out)
    if arguments.json:
        write_json(manifest)
    return 0


def _default_directory(first: str) -> str:
    name = "stdin" if first == "-" else os.path.basename(os.path.abspath(first))
    return (os.path.splitext(name)[0] or name) + "_tokens"


def _total_memory() -> int | None:
    from memguard.system.proc import read_meminfo

    meminfo = read_meminfo()
    return meminfo.total if meminfo else None


class _Ended(BaseException):
    """A signal that asks us to end. No Exception: nothing on the way up may take it for a failure of its own."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@contextlib.contextmanager
def _signals_unwind() -> Iterator[None]:
    """SIGTERM and SIGHUP end the job as Ctrl-C does: through the finally clauses that remove temporary files."""

    def end(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_IGN)
        raise _Ended(number)

    names = ("SIGTERM", "SIGHUP")
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    # nohup and the like ignore a signal on purpose: that stays
    before = {n: signal.signal(n, end) for n in numbers if signal.getsignal(n) is not signal.SIG_IGN}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Display:
    """Progress on a terminal, and the summary; all of it on stderr."""

    def __init__(self, quiet: bool) -> None:
        self.last: Progress | None = None
        self._bar = sys.stderr.isatty() and not quiet

    @contextlib.contextmanager
    def live(self) -> Iterator[Callable[[Progress], None]]:
        if not self._bar:
            yield self._remember
            return
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        console = Console(
            file=sys.stderr, no_color=not use_color(sys.stderr), width=terminal_width(sys.stderr), highlight=False
        )
        columns = (
            BarColumn(bar_width=None),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[speed]}"),
            TextColumn("RAM {task.fields[memory]}"),
            TextColumn("ETA"),
            TimeRemainingColumn(compact=True),
        )
        with Bar(*columns, console=console, transient=True, expand=True) as bar:
            task = bar.add_task("", total=None, speed="starting", memory="–")

            def update(now: Progress) -> None:
                self.last = now
                bar.update(
                    task,
                    total=now.bytes_total,
                    completed=now.bytes_done,
                    speed=f"{_speed(now.bytes_done, now.seconds)}  {_token_speed(now.tokens, now.seconds)}",
                    memory=format_size(now.memory),
                )

            yield update

    def _remember(self, now: Progress) -> None:
        self.last = now

    def summary(self, manifest: Manifest, out: str) -> None:
        for line in _summary(manifest, out, self.last.seconds if self.last else 0.0, _peak_memory()):
            print(line, file=sys.stderr)


def _summary(manifest: Manifest, out: str, seconds: float, peak: int | None) -> Iterator[str]:
    size = sum(source.bytes for source in manifest.inputs)
    tokens = sum(shard.tokens for shard in manifest.shards)
    files = _counted(len(manifest.inputs), "file")
    yield f"{_counted(tokens, f'{manifest.encoding.name} token')} from {files}, {format_size(size)}"
    width = max(len(os.path.join(out, shard.path)) for shard in manifest.shards)
    digits = max(len(format_count(shard.tokens)) for shard in manifest.shards)
    for shard in manifest.shards:
        path = os.path.join(out, shard.path)
        count = format_count(shard.tokens)
        yield f"  {path:<{width}}  {count:>{digits}} tokens  {format_size(shard.bytes)}, {manifest.dtype}"
    facts = [f"{size / tokens:.2f} bytes per token"] if tokens else []
    facts.append(format_duration(seconds))
    if seconds > 1:  # below that the start of the process is all there is to measure
        facts += [_speed(size, seconds), _token_speed(tokens, seconds)]
    if peak is not None:
        facts.append(f"peak memory {format_size(peak)}")
    yield "  " + ", ".join(facts)
    yield from (f"  note: {note}" for note in _notes(manifest))


def _notes(manifest: Manifest) -> Iterator[str]:
    if manifest.invalid_bytes:
        what = "replaced by U+FFFD" if manifest.options.get("errors") == "replace" else "left out"
        yield f"{_counted(manifest.invalid_bytes, 'byte')} not UTF-8, {what}"
    if manifest.dtype == "uint32":
        yield (
            f"{manifest.encoding.name} has {format_count(manifest.encoding.n_vocab)} tokens, too many for uint16: "
            "the files are uint32 (nanoGPT's loader reads uint16)"
        )
    if any(shard.split == "val" and not shard.tokens for shard in manifest.shards):
        yield "the text is too short to divide: val.bin is empty"
    for source in manifest.inputs:
        if os.path.splitext(source.path)[1] in (".json", ".jsonl", ".csv", ".tsv"):
            yield f"{source.path} was taken as plain text, its syntax included"


def _counted(number: int, noun: str) -> str:
    return f"{format_count(number)} {noun}" + ("" if number == 1 else "s")


def _speed(size: int, seconds: float) -> str:
    return format_rate(size / max(seconds, 1e-9))


def _token_speed(tokens: int, seconds: float) -> str:
    return format_rate(tokens / max(seconds, 1e-9), "tokens/s")


def _peak_memory() -> int | None:
    """The largest resident memory of this process so far, code and mapped files included."""
    from memguard.system.proc import read_status

    status = read_status(os.getpid())
    return status.vm_hwm if status else None
