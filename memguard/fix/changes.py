"""What a rewrite may change, and what it leaves: frozen values. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from memguard.fix.reasons import Reason
from memguard.script.source import Span

__all__ = ["FASTER", "RULES", "Change", "Edit", "Left", "Rule"]


@dataclass(frozen=True, slots=True)
class Rule:
    name: str
    words: str  # what it does, for --list-rules
    holds: str  # what the line holds from then on
    level: str = "safe"  # safe | unsafe


RULES: dict[str, Rule] = {
    rule.name: rule
    for rule in (
        Rule("open-text", "open → memguard.open_text", "the text stays in its file"),
        Rule("read-text", "Path.read_text → memguard.read_text", "the text stays in its file"),
        Rule("get-encoding", "tiktoken.get_encoding → memguard.get_encoding", "2 to 4 bytes a token"),
        Rule("token-buffer", "a list of ids → memguard.TokenBuffer", "2 to 4 bytes a token, the older ones in a file"),
        Rule("token-buffers", "a list of lists of ids → memguard.TokenBuffers", "2 to 4 bytes a token, in a file"),
        Rule("text-list", "a list of texts → memguard.TextList", "the texts are in a file, 8 bytes each in memory"),
        Rule("look-up", "[table[c] for c in text] → memguard.look_up", "2 bytes a character, in a file"),
        Rule("parquet-texts", "read_parquet(…)[column].tolist() → memguard.parquet_texts", "one row group at a time"),
        Rule("dataset-of", "Dataset.from_dict → memguard.dataset_of", "the table is in an Arrow file"),
        Rule(
            "torch-ids",
            "torch.tensor(ids) → torch.from_numpy(ids.to_numpy())",
            "a mapping of the ids' file",
            "unsafe",
        ),
    )
}

FASTER = frozenset(("get-encoding",))  # rules that save time, whatever they save of the peak


@dataclass(frozen=True, slots=True)
class Edit:
    """`text` in the place of the bytes [start, end) of the source in UTF-8. `{mg}` is the module's name."""

    start: int
    end: int
    text: str
    lines: int = 0  # line ends fewer than before: what runs in memory has them inside its first bracket


@dataclass(frozen=True, slots=True)
class Change:
    """One thing of the script that becomes a drop-in object, with the edits that this takes."""

    thing: int  # its number; of a use that is changed with its thing, one below 0
    rule: str
    line: int
    span: Span
    edits: tuple[Edit, ...]
    needs: frozenset[int] = frozenset()  # things that have to be changed with it


@dataclass(frozen=True, slots=True)
class Left:
    """A thing that stays as it is. `line` is where that is decided."""

    thing: int
    rule: str
    line: int
    made_line: int
    reason: Reason
    what: str

    @property
    def sentence(self) -> str:
        return self.reason.sentence(self.what)
