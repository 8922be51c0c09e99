"""Stream text into token files, with bounded memory and exactly tiktoken's tokens.

FILE is a text file, JSON lines, CSV or Parquet, plain or compressed (gzip, bzip2, xz, zstd), a directory of them, a
pattern, a URL (with fsspec), or - for stdin. A text file is one text unless you say what a document is; a record is a
document. Nothing stands under its final name before it is complete; after a kill, --resume goes on.

  memguard tokenize train.txt -o data
  memguard tokenize corpus/ -o data --documents blank-line --val-fraction 0.01
  memguard tokenize 'part-*.parquet' -o data --column text --format npy --val-by shard
  zcat big.txt.gz | memguard tokenize - -o data --val-fraction 0
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from memguard.cli.output import note, terminal_width, use_color, write_json
from memguard.errors import ConfigError, MemoryLimitExceeded
from memguard.records.manifest import Manifest
from memguard.units import format_count, format_duration, format_rate, format_size, parse_size

if TYPE_CHECKING:
    from types import FrameType

    from memguard.tokens.output.formats import Format
    from memguard.tokens.progress import JobProgress

__all__ = ["add_arguments", "main"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", metavar="FILE", help="file, directory, pattern or URL; - is stdin")
    parser.add_argument("-o", "--output", metavar="DIR", help="default: FILE's name with _tokens, in this directory")
    parser.add_argument("--encoding", default="gpt2", metavar="NAME", help="tiktoken's name of it (default: gpt2)")
    _input_arguments(parser.add_argument_group("what is read"))
    _output_arguments(parser.add_argument_group("what is written"))
    _work_arguments(parser.add_argument_group("how"))


def _input_arguments(group: argparse._ArgumentGroup) -> None:
    from memguard.tokens.input.documents import DOCUMENTS
    from memguard.tokens.input.source import KINDS
    from memguard.tokens.input.utf8 import ERRORS

    group.add_argument("--input-format", choices=KINDS, help="default: what each file's name says")
    group.add_argument(
        "--documents",
        choices=DOCUMENTS,
        help="what a document is in a text file (default: the whole file is one text)",
    )
    group.add_argument(
        "--separator", metavar="TEXT", help=r"documents are what stands between this text; \n, \t and \\ are understood"
    )
    group.add_argument(
        "--text-field",
        "--column",
        dest="column",
        default="text",
        metavar="NAME",
        help="the text in JSON lines, CSV and Parquet (default: text)",
    )
    group.add_argument(
        "--allow-special",
        action="append",
        metavar="TOKEN",
        help="this special token in the text becomes its own id (default: it is ordinary text); may come again",
    )
    group.add_argument(
        "--errors",
        choices=ERRORS,
        default="strict",
        help="bytes that are not UTF-8: stop and name the place, put U+FFFD, or leave out (default: strict)",
    )


def _output_arguments(group: argparse._ArgumentGroup) -> None:
    from memguard.tokens.options import VAL_BY
    from memguard.tokens.output.formats import FORMATS

    files = "; ".join(f"{name}: {_files_of(form)}" for name, form in FORMATS.items())
    group.add_argument("--format", choices=tuple(FORMATS), default="nanogpt", help=f"{files} (default: nanogpt)")
    group.add_argument(
        "--val-fraction", type=float, default=0.1, metavar="F", help="share that is val; 0: train alone (default: 0.1)"
    )
    group.add_argument(
        "--val-by",
        choices=VAL_BY,
        help="val is the end of the input, documents spread over all of it by their hash, or the first shard "
        "(default: document where documents are known, else tail)",
    )
    group.add_argument("--shard-tokens", metavar="N", help="tokens per shard, as 100M (default: 100M)")
    group.add_argument(
        "--eot",
        action=argparse.BooleanOptionalAction,
        help="end-of-text token after each document, in a text file at its end (default: where documents are known)",
    )
    group.add_argument("--eot-first", action="store_true", help="before each document instead")
    group.add_argument("--offsets", action="store_true", help="write where documents begin (SPLIT.offsets.bin)")


def _files_of(form: Format) -> str:
    """The names of a first shard."""
    stem = form.shard_name("train", 0).removesuffix(form.suffix)
    return ", ".join(stem + suffix for suffix in form.suffixes)


def _work_arguments(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--resume", action="store_true", help="go on with an unfinished job in DIR, if there is one")
    group.add_argument("--overwrite", action="store_true", help="replace the files of an earlier job in DIR")
    group.add_argument("--workers", type=int, metavar="N", help="threads (default: cores, as far as memory allows)")
    group.add_argument(
        "--max-memory",
        default="256M",
        metavar="SIZE",
        help="anonymous memory of the whole job, at most; 10%% is of this machine's (default: 256M)",
    )
    group.add_argument(
        "--engine", choices=("auto", "gigatoken", "tiktoken"), default="auto", help="default: the faster exact one"
    )
    group.add_argument("--no-guard", action="store_true", help="no watcher beside the job: nothing asks it for memory")
    group.add_argument("--json", action="store_true", help="print the manifest to stdout")
    group.add_argument("-q", "--quiet", action="store_true", help="no progress and no summary")


def main(arguments: argparse.Namespace) -> int:
    out = arguments.output or _default_directory(arguments.files[0])
    if arguments.workers is not None and arguments.workers < 1:
        raise ConfigError(
            f"--workers must be at least 1: {arguments.workers}", "leave it out to use the cores there are"
        )
    if arguments.resume and arguments.overwrite:
        raise ConfigError("--resume and --overwrite exclude each other", "give one of them")
    options = _options(arguments)
    max_memory = parse_size(arguments.max_memory, total=_total_memory())
    headroom = _headroom(max_memory, arguments.quiet)
    show = _Display(arguments.quiet)
    try:
        with _guard(arguments), _signals_unwind(), show.live() as progress:
            # numpy starts a thread per core for linear algebra, of which there is none here
            os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
            from memguard.tokens.job import tokenize

            manifest = tokenize(
                arguments.files,
                out,
                engine=arguments.engine,
                workers=arguments.workers,
                max_memory=max_memory,
                headroom=headroom,
                resume=arguments.resume,
                overwrite=arguments.overwrite,
                progress=progress,
                **options,
            )
    except (_Ended, KeyboardInterrupt) as end:
        from memguard.tokens.output.journal import JOURNAL

        kept = os.path.exists(os.path.join(out, JOURNAL))
        what = "the same command with --resume goes on" if kept else "no file was left behind"
        note(f"memguard tokenize: stopped; {what}")
        return 128 + (end.number if isinstance(end, _Ended) else signal.SIGINT)
    if not arguments.quiet:
        show.summary(manifest, out, arguments.workers)
    if arguments.json:
        write_json(manifest)
    return 0


@contextlib.contextmanager
def _guard(arguments: argparse.Namespace) -> Iterator[None]:
    """The guard around the job, which drops its caches when memory runs short; an outer `memguard run` does as much."""
    if arguments.no_guard or not sys.platform.startswith("linux") or "MEMGUARD_RUN_DIR" in os.environ:
        yield
        return
    from memguard.watch.guard import guard

    try:
        with guard(background=True):
            yield
    except MemoryLimitExceeded as error:
        hint = "the same command with --resume goes on; a smaller --max-memory, or fewer other programs, makes room"
        raise MemoryLimitExceeded(error.message, hint) from None


def _options(arguments: argparse.Namespace) -> dict[str, Any]:
    """The fields of memguard.tokens.options.Options."""
    names = ("encoding", "input_format", "documents", "column", "errors", "format", "val_fraction", "val_by", "offsets")
    options = {name: getattr(arguments, name) for name in names}
    options["eot"] = "prepend" if arguments.eot_first else arguments.eot
    options["allow_special"] = None if arguments.allow_special is None else " ".join(arguments.allow_special)
    options["separator"] = None if arguments.separator is None else _unescaped(arguments.separator)
    options["shard_tokens"] = None if arguments.shard_tokens is None else _count(arguments.shard_tokens)
    return options


def _unescaped(text: str) -> str:
    known = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\"}
    return re.sub(r"\\([ntr\\])", lambda match: known[match[1]], text)


def _count(text: str) -> int:
    """`100M`, `5e8`, `100_000_000`."""
    match = re.fullmatch(r"([\d_]+(?:\.\d+)?(?:e\d+)?)([kMGB]?)", text.strip())
    number = float(match[1]) * {"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "B": 1e9}[match[2]] if match else 0.0
    if number < 1 or number != int(number):
        raise ConfigError(f"--shard-tokens is no number of tokens: {text!r}", "write it as 100M or 100000000")
    return int(number)


def _default_directory(first: str) -> str:
    name = "stdin" if first == "-" else os.path.basename(os.path.abspath(first))
    stem = re.sub(r"[*?\[\]]+", "", name).split(".")[0].strip("-_")
    return (stem or "text") + "_tokens"


def _headroom(max_memory: int, quiet: bool) -> int | None:
    """What the machine leaves, read before the guard sets limits of its own; said where it is less than asked for."""
    from memguard.tokens.headroom import read_headroom

    headroom = read_headroom()
    if headroom is not None and headroom < max_memory and not quiet:
        sizes = f"{format_size(headroom)}, less than --max-memory {format_size(max_memory)}"
        note(f"note: the limits here leave the job {sizes}: it keeps to that")
    return headroom


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
        self.last: JobProgress | None = None
        self._bar = sys.stderr.isatty() and not quiet

    @contextlib.contextmanager
    def live(self) -> Iterator[Callable[[JobProgress], None]]:
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
            TextColumn("{task.fields[speed]}  {task.fields[tokens]}"),
            TextColumn("RAM {task.fields[memory]}"),
            TextColumn("ETA"),
            TimeRemainingColumn(compact=True),
        )
        with Bar(*columns, console=console, transient=True, expand=True) as bar:
            task = bar.add_task("", total=None, speed="starting", tokens="", memory="–")

            def update(now: JobProgress) -> None:
                self.last = now
                bar.update(
                    task,
                    total=now.bytes_total,
                    completed=now.bytes_done,
                    speed=_speed(now.bytes_done - now.bytes_before, now.seconds),
                    tokens=f"{format_count(now.tokens)} tokens",
                    memory=format_size(now.memory),
                )

            yield update

    def _remember(self, now: JobProgress) -> None:
        self.last = now

    def summary(self, manifest: Manifest, out: str, workers: int | None) -> None:
        for line in _summary(manifest, out, self.last, _peak_memory()):
            note(line)
        if self.last is not None and workers and self.last.workers < workers:
            note(f"  note: {workers} workers asked for, {self.last.workers} fit into --max-memory")


_SHOWN = 6  # shards


def _summary(manifest: Manifest, out: str, last: JobProgress | None, peak: int | None) -> Iterator[str]:
    size = sum(source.bytes for source in manifest.inputs)
    tokens = sum(shard.tokens for shard in manifest.shards)
    documents = sum(shard.documents or 0 for shard in manifest.shards) if manifest.options.get("eot") != "none" else 0
    what = f"{_counted(documents, 'document')} in " if documents else ""
    files = _counted(len(manifest.inputs), "file")
    yield f"{_counted(tokens, f'{manifest.encoding.name} token')} from {what}{files}, {format_size(size)}"
    yield from _shard_lines(manifest, out)
    if last is None:
        yield "  all of it was done already"
    else:
        facts = [f"{size / tokens:.2f} bytes per token"] if tokens else []
        facts.append(format_duration(last.seconds))
        if last.seconds > 1:  # below that the start of the process is all there is to measure
            facts.append(_speed(last.bytes_done - last.bytes_before, last.seconds))
            if not last.bytes_before:
                facts.append(_token_speed(tokens, last.seconds))
        if peak is not None:
            facts.append(f"peak memory {format_size(peak)}")
        yield "  " + ", ".join(facts)
        if last.bytes_before:
            yield f"  note: an earlier run had done {format_size(last.bytes_before)} of the input"
    yield from (f"  note: {note}" for note in _notes(manifest))


def _shard_lines(manifest: Manifest, out: str) -> Iterator[str]:
    shards = manifest.shards
    shown = shards if len(shards) <= _SHOWN else shards[: _SHOWN - 1]
    width = max((len(os.path.join(out, shard.path)) for shard in shown), default=0)
    digits = max((len(format_count(shard.tokens)) for shard in shown), default=0)
    for shard in shown:
        path, count = os.path.join(out, shard.path), format_count(shard.tokens)
        yield f"  {path:<{width}}  {count:>{digits}} tokens  {format_size(shard.bytes)}, {manifest.dtype}"
    rest = shards[len(shown) :]
    if rest:
        count = format_count(sum(shard.tokens for shard in rest))
        yield f"  … and {len(rest)} more  {count} tokens  {format_size(sum(shard.bytes for shard in rest))}"


def _notes(manifest: Manifest) -> Iterator[str]:
    if manifest.invalid_bytes:
        what = "replaced by U+FFFD" if manifest.options.get("errors") == "replace" else "left out"
        yield f"{_counted(manifest.invalid_bytes, 'byte')} not UTF-8, {what}"
    if manifest.skipped:
        yield f"{_counted(manifest.skipped, 'record')} without a text, left out"
    if manifest.dtype == "uint32" and manifest.format == "nanogpt":
        yield (
            f"{manifest.encoding.name} has {format_count(manifest.encoding.n_vocab)} tokens, too many for uint16: "
            "the files are uint32 (nanoGPT's loader reads uint16)"
        )
    if any(shard.split == "val" and not shard.tokens for shard in manifest.shards):
        yield "the text is too short to divide: val.bin is empty"
    for source in manifest.inputs:
        if os.path.splitext(source.path)[1] == ".json":
            yield f"{source.path} was taken as plain text, its syntax included (JSON lines: --input-format jsonl)"


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
