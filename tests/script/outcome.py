"""One string in, one line out: what a call leaves in the variable that it is assigned to.

    outcome("np.array(ids, dtype=np.uint16)")  ->  "array:2 1"
    outcome("other.f([ids])")                  ->  "opaque 1 ?"

Kinds of Buffers in the order in which they are reached, arrays with the bytes of an element, each with the share of the
input that it covers (2: all of it twice; `line`: one line of it), in parentheses where it shares the memory of another;
`?` where the line is listed as not understood; `-` for nothing.
"""

from __future__ import annotations

from memguard.script.extents import Extent
from memguard.script.read import read_script
from memguard.script.source import Places
from memguard.script.trace import Trace
from memguard.script.values import Held

__all__ = ["HEAD", "left_in", "outcome"]

# Everything that an expression may be about; 1 is all of the input.
HEAD = """\
import array as array_module, argparse, base64, collections, concurrent.futures, contextlib, copy, csv, datasets
import duckdb, functools, glob, gzip, hashlib, html, io, itertools, json, math, mmap, multiprocessing, operator, os
import pathlib, pickle, queue, random, re, requests, sys, threading, time, tqdm, unicodedata, urllib.request
import jsonlines, memguard, numpy as np, pandas as pd, polars as pl, pyarrow as pa, pyarrow.parquet as pq, tiktoken
import torch
import nltk, spacy, tokenizers
import sentencepiece, transformers, absl.app, fire, hydra, importlib, typer
enc = tiktoken.get_encoding("gpt2")
tok = tokenizers.Tokenizer.from_file("t.json")
hf = transformers.PreTrainedTokenizerFast(tokenizer_file="t.json")
sp = sentencepiece.SentencePieceProcessor(model_file="m.model")
nlp = spacy.blank("en")
text = open("a.txt").read()
data = open("a.txt", "rb").read()
ids = enc.encode(text)
array = np.array(ids, dtype=np.uint16)
lines = text.splitlines()
words = text.split()
lists = [enc.encode(line) for line in lines]
arrays = [np.array(enc.encode(line), dtype=np.uint16) for line in lines]
docs = [json.loads(line) for line in lines]
frame = pd.read_parquet("a.parquet")
dataset = datasets.load_dataset("text", data_files="a.txt")
mapped = np.memmap("a.bin", dtype=np.uint16, mode="r")
class Box:
    def __init__(self, value): self.value = value
def double(x): return x
"""


def outcome(expression: str, then: str = "", before: str = "") -> str:
    """What `y` holds after `before`, `y = expression` and `then`, when nothing else is left."""
    head = HEAD + before
    names = "text, data, ids, array, lines, words, lists, arrays, docs, frame, dataset, mapped"
    return left_in(f"{head}y = {expression}\n{then}\ndel {names}\n", "y", head.count("\n"))


def left_in(source: str, name: str, known: int = 0) -> str:
    """What `name` holds at the end; `?` for lines after the first `known` that are listed."""
    trace = read_script(source, "s.py")
    last = next(moment for moment in reversed(trace.moments) if moment.step.kind == "line")
    found = [held for held in last.alive if held.label == name or held.label.startswith(f"{name}.")]
    words = [_words(held) for held in found if held.parts]
    return " + ".join(words or ["-"]) + " ?" * any(line > known for line in _unread(trace))


def _unread(trace: Trace) -> list[int]:
    places = Places(trace.source)
    return [places.position(unread.span[0])[0] for unread in trace.unrecognised]


def _words(held: Held) -> str:
    kind = f"array:{held.buffer.item}" if held.kind == "array" else held.kind
    if held.buffer.of is not None:
        kind = f"({kind})"  # shares what it is made of, and costs nothing itself
    whole = sum((part.high - part.low) * part.times for part in held.parts if part.is_whole)
    windows = sorted({_window(part) for part in held.parts if not part.is_whole})
    return " ".join([kind, *([f"{whole:g}"] if whole else []), *windows])


def _window(part: Extent) -> str:
    window = part.windows[-1]
    amount = "" if window.amount == 1 else f"{window.amount:g} "
    unit = window.unit.removesuffix("s") if window.amount == 1 else window.unit
    return f"{amount}{unit}" + (f" x{part.times:g}" if part.times != 1 else "")
