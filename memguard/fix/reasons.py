"""Why a line is left as it is: a closed list, each with its sentence. Pure."""

from __future__ import annotations

from enum import Enum

__all__ = ["Reason"]


class Reason(Enum):
    """`{what}` is what the script does there."""

    GIVEN = "{what}: nobody knows what that does with it"
    UNSEEN = "{what}: who uses it then is not seen"
    CHANGED = "{what} changes it in place"
    ONE_BY_ONE = "{what} changes it one element at a time"
    REPEATED = "{what} repeats it"
    PICKLED = "{what} writes a list's own bytes"
    AS_JSON = "{what} takes lists alone"
    TYPE = "{what} asks whether it is a list"
    TENSOR = "{what} makes a tensor of a list: torch.from_numpy of the ids would keep it in a file"
    COMPARED = "{what} looks at the whole of it"
    HASHED = "it is {what}: only a real str, or a tuple of them, can be"
    STORED = "{what}: the array may cast its numbers in another way"
    NEW_TEXT = "{what} makes a new text of all of it"
    WHOLE_TEXT = "{what} needs the whole text at once"
    REVERSED = "{what} takes the text in another order"
    MIXED = "it may be something else here, too"
    ELEMENTS = "what is in it is not surely {what}"
    BROAD_TRY = "a try around it catches every error, and so would hide one of the file's"
    REWRITTEN = "{what} writes to the file that is read"
    SURROGATES = "{what} may give lone surrogates, which no encoder takes"
    OPENED = "{what} is not followed"
    OTHER_TOKENIZER = "{what} is not tiktoken: whether a text may be cut for it is not known"
    FRAME = "the table has a name, or more than one column of it is used: read_parquet(…)[column].tolist() would stream"
    ENCODER = "the encoder there stays tiktoken's own, which takes a str alone"
    DYNAMIC = "{what}: code can reach what it does not name"
    TOO_MUCH = "it takes more steps to follow than there are"
    IGNORED = "# memguard: ignore[{what}]"
    NOT_ASKED = "the rule {what} is not asked for"
    OTHER = "{what} is not known to be the same"

    def sentence(self, what: str = "") -> str:
        return self.value.format(what=what)
