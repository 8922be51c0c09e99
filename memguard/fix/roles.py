"""What each drop-in object does as the original does it: the roles of script/flow's uses that are safe. Pure.

dropin/ holds to it: what is in a table is equal in value, or raises the same error; tests/fix runs both. What is in no
table has a reason in REASONS, or is not known.
"""

from __future__ import annotations

from memguard.fix.reasons import Reason

__all__ = ["LOCAL", "is_safe", "reason_for"]

_ITERATING = [
    "len",
    "list",
    "tuple",
    "sorted",
    "set",
    "frozenset",
    "enumerate",
    "iter",
    "reversed",
    "any",
    "all",
    "id",
    "bool",
    "next",
]
_CONSUMERS = frozenset(f"{name}/0" for name in _ITERATING) | frozenset(
    (
        *("iterate", "unpack", "*", "truth", "is", "in left", "with"),
        *("collections.Counter/0", "collections.deque/0", "tqdm.tqdm/0", "tqdm.auto.tqdm/0", "itertools.islice/0"),
        *("map/1", "map/2", "filter/1", "zip/0", "zip/1", "zip/2", "itertools.chain/0"),
        *("itertools.chain/1", "itertools.chain.from_iterable/0"),
    )
)
_ARRAYS = frozenset(
    (
        *("array", "asarray", "asanyarray", "ascontiguousarray", "concatenate", "hstack", "max", "min", "mean", "sum"),
        *("unique", "bincount", "fromiter", "array_split", "split", "median", "std", "var", "append", "array_equal"),
    )
)
_NUMPY = frozenset(f"numpy.{name}/{place}" for name in _ARRAYS for place in (0, 1)) | frozenset(
    ("numpy.save/1", "numpy.savetxt/1", "numpy.testing.assert_array_equal/0", "numpy.testing.assert_array_equal/1")
)
# Of lists that are handed on to other lists, which the flow follows.
_INTO_LISTS = frozenset(
    (
        *(
            "list.append/0",
            "list.extend/0",
            "list.insert/1",
            "+= right",
            "+ left",
            "+ right",
            "in + left",
            "in + right",
        ),
        *("dict.get/1", "dict.setdefault/1", "dict.update/0", "iterator.set_description/0", "in numpy.concatenate/0"),
        *("in numpy.hstack/0",),
    )
)
_IDS = (
    _CONSUMERS
    | _NUMPY
    | _INTO_LISTS
    | frozenset(
        (
            *(".append()", ".extend()", ".clear()", ".copy()", ".index()", ".count()", "+=", "[index]", "[slice]"),
            *(
                ".append",
                ".extend",
                "[::step]",
                "del [:]",
                "==",
                "in right",
                "in in right",
                "list.index/0",
                "list.count/0",
                "% right",
            ),
            *("in % right", "f-string", "str/0", "repr/0", "max/0", "min/0", "sum/0", "bytes/0", "set.update/0"),
            *("array.array/1", "array.extend/0", "random.choice/0", "copy.copy/0", "copy.deepcopy/0", "struct.pack/1"),
            *("encoder.decode/0", "str.join/0", "returned by a worker", "sent to a worker", "in returned by a worker"),
            *("in sent to a worker",),
        )
    )
)
_TEXT = _CONSUMERS - {"unpack", "*", "with", "next/0", "reversed/0", "in left"} | frozenset(
    (
        *(".strip()", ".lstrip()", ".rstrip()", ".split()", ".splitlines()", ".count()", ".find()", ".index()"),
        *(".startswith()", ".endswith()", ".isascii()", ".encode()", "[index]", "[slice]", "in right", "=="),
        *("encoder.encode/0", "encoder.encode_ordinary/0", "f-string", "str/0", "max/0", "min/0", "set.update/0"),
        *("list.extend/0", "builtins.dict.fromkeys/0", "sent to a worker"),
    )
)
_TEXTS = _CONSUMERS - {"unpack", "*", "with", "next/0", "in left"} | frozenset(
    (
        *("[index]", "[slice]", ".index()", ".count()", "in right", "list.extend/0", "+= right", "str.join/0"),
        *("encoder.encode_ordinary_batch/0", "encoder.encode_batch/0", "set.update/0", "builtins.dict.fromkeys/0"),
    )
)
# memguard.TextList has all that a list has.
_TEXT_LIST = _CONSUMERS | frozenset(
    (
        *(".append()", ".extend()", ".insert()", ".pop()", ".remove()", ".reverse()", ".sort()", ".clear()"),
        *(".copy()", ".index()", ".count()", "+=", "+ left", "+ right", "* left", "* right", "[index]", "[slice]"),
        *("[::step]", "[] =", "del []", "del [:]", "==", "<", "in right", "list.extend/0", "+= right", "f-string"),
        *("str/0", "repr/0", "max/0", "min/0", "random.choice/0", "set.update/0", "builtins.dict.fromkeys/0"),
        *("encoder.encode_ordinary_batch/0", "encoder.encode_batch/0", "dict.get/1", "dict.setdefault/1"),
        *("iterator.set_description/0",),
    )
)
_TOKEN_LISTS = _CONSUMERS | frozenset(
    (
        *(".append()", ".extend()", "+=", "[index]", "[slice]", "numpy.concatenate/0", "list.extend/0", "+= right"),
        *("==", ".index()", ".count()"),
    )
)
_ENCODER = frozenset(
    (
        *(".encode()", ".encode_ordinary()", ".encode_batch()", ".encode_ordinary_batch()", ".decode()", "is", "truth"),
        *(".eot_token", ".n_vocab", ".max_token_value", ".name", "._special_tokens", ".special_tokens_set"),
        *(".encode", ".encode_ordinary", ".encode_batch", ".encode_ordinary_batch", ".decode"),
        *(".encode_single_token()", ".decode_bytes()", ".decode_single_token_bytes()"),
    )
)
_FILE = frozenset(
    (
        *(".read()", ".readline()", ".readlines()", ".seek()", ".tell()", ".fileno()", ".close()", ".closed", ".name"),
        *("with", "iterate", "enumerate/0", "list/0", "iter/0", "next/0", "tqdm.tqdm/0", "zip/0", "csv.reader/0"),
        *("csv.DictReader/0", "itertools.islice/0", "map/1", "truth", "is"),
    )
)

_SAFE: dict[str, frozenset[str]] = {
    "ids": _IDS,
    "text": _TEXT,
    "texts": _TEXTS,
    "text list": _TEXT_LIST,
    "token lists": _TOKEN_LISTS,
    "encoder": _ENCODER,
    "file": _FILE,
}
# print() shows what str() gives.
_SHOWN = frozenset(("ids", "text", "texts", "text list"))


def is_safe(drop_in: str, role: str) -> bool:
    """Whether a `drop_in` does in `role` what the original does. dataset_of gives a Dataset as from_dict does."""
    shown = role.startswith("print/") and drop_in in _SHOWN
    return shown or drop_in == "dataset" or role in _SAFE.get(drop_in, frozenset())


# Roles that are safe where an edit goes with them: rewrite.py has it.
LOCAL: dict[str, frozenset[str]] = {
    "text list": frozenset(("str.join/0", "text.join/0")),
}

_IN_PLACE = frozenset((".insert()", ".pop()", ".remove()", ".reverse()", ".sort()", "del []", "random.shuffle/0"))
_PICKLES = ("pickle.", "joblib.", "torch.save", "marshal.", "dill.", "cloudpickle.", "numpy.savez")
_CHANGING = ["replace", "lower", "upper", "translate", "title", "casefold", "expandtabs", "format", "encode"]
_NEW = frozenset(f".{name}()" for name in _CHANGING)
_TEXTS_OF_CODE = ("re.", "regex.", "json.", "html.", "unicodedata.", "ftfy.", "textwrap.")


def reason_for(drop_in: str, role: str) -> tuple[Reason, str]:
    """Why `role` is not safe for `drop_in`, and in which words the script does it."""
    what = words_of(role)
    bare = role.removeprefix("in ")
    texts = drop_in in ("text", "texts")
    rules = (
        (bare.startswith(("given to ", "a statement", "an expression", "stored in", "match")), Reason.GIVEN),
        (bare.startswith(("returned to", "an attribute of a class")), Reason.UNSEEN),
        (bare == "inside a broad try", Reason.BROAD_TRY),
        (bare == "its file is written to", Reason.REWRITTEN),
        (bare == "[::step]", Reason.REVERSED),
        (bare in _IN_PLACE, Reason.CHANGED),
        (bare == "[] =", Reason.ONE_BY_ONE),
        (bare.startswith("array [] ="), Reason.STORED),
        (bare.startswith("*") and len(bare) > 1, Reason.REPEATED),
        (bare.startswith(_PICKLES), Reason.PICKLED),
        (not texts and bare.startswith(("json.", "orjson.", "ujson.")), Reason.AS_JSON),
        (bare.startswith(("isinstance/", "type/")), Reason.TYPE),
        (bare.startswith(("torch.tensor/", "torch.as_tensor/", "torch.LongTensor/")), Reason.TENSOR),
        (bare in ("in a set", "a key", "an index"), Reason.HASHED),
        (texts and (bare in _NEW or bare.startswith(("+", "%"))), Reason.NEW_TEXT),
        (texts and bare.startswith(_TEXTS_OF_CODE), Reason.WHOLE_TEXT),
        (texts and bare.startswith("tokenizer."), Reason.OTHER_TOKENIZER),
        (drop_in == "file", Reason.OPENED),
        (bare in ("<",), Reason.COMPARED),
        ("." in bare and "/" in bare, Reason.GIVEN),
    )
    return next((reason for found, reason in rules if found), Reason.OTHER), what


def words_of(role: str) -> str:
    """pickle.dump/0 → pickle.dump(), .sort() → .sort()"""
    bare = role.removeprefix("in ")
    if "/" in bare:
        bare = bare.rpartition("/")[0] + "()"
    return bare
