"""What a tokenize job is asked for: everything that its output depends on beside the input itself.

`Options` is checked when it is made; `settled` fills in what follows from the input.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from memguard.errors import ConfigError
from memguard.tokens.input.blocks import Division
from memguard.tokens.input.documents import DOCUMENTS, Reading
from memguard.tokens.input.source import KINDS, Source
from memguard.tokens.input.special import Specials
from memguard.tokens.input.utf8 import ERRORS
from memguard.tokens.output.formats import Format, find_format

__all__ = ["SHARD_TOKENS", "VAL_BY", "Options"]

VAL_BY = ("tail", "document", "shard")
EOT = b"<|endoftext|>"
SHARD_TOKENS = 100_000_000  # build-nanogpt's and llm.c's


@dataclass(frozen=True, slots=True)
class Options:
    """None: what suits the input.

    encoding        tiktoken's name of it
    format          nanogpt | npy | llmc | megatron
    input_format    text | jsonl | csv | parquet; None: what each file's name says
    documents       file | line | blank-line: what a document is in text files
    separator       text between documents, in place of `documents`
    column          the field of JSON lines, the column of CSV and Parquet
    val_fraction    the share that is val; 0: train alone
    val_by          tail | document | shard (the first shard is val); None: document where they are known, else tail
    shard_tokens    tokens per shard, for the formats that have shards
    eot             append | prepend | none, or True (append) and False (none); None: append where documents are known
    errors          strict | replace | ignore, as in bytes.decode
    offsets         write where documents begin, too
    allow_special   special tokens that become their own id in the text, as tiktoken's allowed_special; several with
                    blanks between. None: all of them are ordinary text
    """

    encoding: str = "gpt2"
    format: str = "nanogpt"
    input_format: str | None = None
    documents: str | None = None
    separator: str | None = None
    column: str = "text"
    val_fraction: float = 0.1
    val_by: str | None = None
    shard_tokens: int | None = None
    eot: bool | str | None = None
    errors: str = "strict"
    offsets: bool = False
    allow_special: str | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.val_fraction < 1:
            raise ConfigError(f"--val-fraction must be at least 0 and below 1: {self.val_fraction}", "0.1 is nanoGPT's")
        _one_of("--errors", self.errors, ERRORS)
        _one_of("--input-format", self.input_format, KINDS)
        _one_of("--documents", self.documents, DOCUMENTS)
        _one_of("--val-by", self.val_by, VAL_BY)
        if self.documents is not None and self.separator is not None:
            raise ConfigError("--documents and --separator exclude each other", "give one of them")
        if self.eot_place not in ("append", "prepend", "none"):
            raise ConfigError(f"eot cannot be {self.eot!r}", "one of append, prepend, none")
        self._check_specials()
        whole = self.form.whole_split
        if whole and self.shard_tokens is not None:
            raise ConfigError(f"the format {self.format} has no shards", "leave --shard-tokens out, or --format npy")
        if whole and self.val_by == "shard":
            raise ConfigError(f"the format {self.format} has no shards to take val from", "--val-by tail, or document")
        if self.shard_tokens is not None and self.shard_tokens < 1:
            raise ConfigError(f"--shard-tokens must be at least 1: {self.shard_tokens}", "100M is what others use")
        largest = self.form.largest_shard
        if largest is not None and (self.shard_tokens or 0) > largest:
            raise ConfigError(f"a {self.format} shard holds at most {largest:,} tokens", "use a smaller --shard-tokens")

    def _check_specials(self) -> None:
        if self.specials is not None and self.errors == "ignore":
            what = "--errors ignore may make a special token of what was none"
            raise ConfigError(what, "use --errors replace with --allow-special")

    @property
    def specials(self) -> Specials | None:
        if self.allow_special is None:
            return None
        return Specials(tuple(dict.fromkeys(token.encode() for token in self.allow_special.split(" "))))

    @property
    def form(self) -> Format:
        return find_format(self.format)

    @property
    def eot_place(self) -> str:
        return {True: "append", False: "none", None: "none"}.get(self.eot, self.eot)  # type: ignore[arg-type, return-value]

    @property
    def reading(self) -> Reading:
        separator = None if self.separator is None else self.separator.encode()
        return Reading(self.documents or "file", separator, self.column, self.errors, self.specials)

    @property
    def shard_size(self) -> int | None:
        return None if self.form.whole_split else self.shard_tokens or SHARD_TOKENS

    @property
    def val_shards(self) -> int:
        return 1 if self.val_by == "shard" else 0

    def settled(self, sources: list[Source], has_eot: bool = True) -> Options:
        """Nothing left to the input. Raises ConfigError where the input does not allow what is asked for."""
        known = self.documents is not None or self.separator is not None or any(s.kind != "text" for s in sources)
        eot = self.eot if self.eot is not None else "append" if known and has_eot else "none"
        if self.specials is not None and EOT in self.specials.tokens and eot not in ("none", False):
            what = f"{EOT.decode()} in the text and at the ends of documents could not be told apart"
            raise ConfigError(what, "--no-eot, or leave it out of --allow-special")
        val_by = self.val_by or ("document" if known else "tail")
        documents = self.documents or ("file" if self.separator is None else None)
        options = replace(self, eot=eot, val_by=val_by, documents=documents, shard_tokens=self.shard_size)
        options.division(sources)
        return options

    def division(self, sources: list[Source]) -> Division:
        if not self.val_fraction or self.val_by == "shard":
            return Division()
        if self.val_by == "document":
            whole = self.separator is None and (self.documents or "file") == "file"
            if len(sources) == 1 and sources[0].kind == "text" and whole:
                raise ConfigError(
                    "--val-by document needs documents, and this is one text",
                    "say what a document is (--documents, --separator), or use --val-by tail",
                )
            return Division("document", self.val_fraction)
        for source in sources:
            if source.size is None or source.compression or source.kind not in ("text", "jsonl"):
                name = "stdin" if source.path == "-" else source.path
                kind = "" if source.path == "-" else " (a pipe)" if source.size is None else " (not plain text)"
                raise ConfigError(
                    f"{name}{kind} has no known size to take --val-fraction {self.val_fraction:g} of",
                    "use --val-fraction 0 (train alone), or say what a document is and use --val-by document",
                )
        total = sum(source.size or 0 for source in sources)
        return Division("tail", self.val_fraction, round((1 - self.val_fraction) * total))

    def recorded(self) -> dict[str, str | int | float | bool | None]:
        """For the manifest, and for --resume to compare."""
        special = {} if self.allow_special is None else {"allow_special": self.allow_special}
        return {
            **special,
            "val_fraction": self.val_fraction,
            "val_by": self.val_by,
            "eot": self.eot_place,
            "errors": self.errors,
            "input_format": self.input_format,
            "documents": self.documents,
            "separator": self.separator,
            "column": self.column,
            "shard_tokens": self.shard_tokens,
            "offsets": self.offsets,
        }


def _one_of(flag: str, value: str | None, allowed: tuple[str, ...]) -> None:
    if value is not None and value not in allowed:
        raise ConfigError(f"{flag} cannot be {value!r}", f"one of {', '.join(allowed)}")
