"""What one call of a tokenizer takes: each in a Python of its own, on texts of several sizes.

    python -m tests.bench tokenizers --python /path/to/python          texts made of pydoc_data.topics, 1 and 4 MB
    python -m tests.bench tokenizers --text en.txt --size 3MB --tokenizer tok.json --call batch
    python -m tests.bench tokenizers --libraries                       what importing each library adds

One line for each call, size and text: memory at its peak, while the result lives and after it has gone, a byte of text,
a token and a text (line) of the batch. Calls whose library that Python has not are skipped, with that reason. The
figures are what estimate/script/tokenizer_prices.py is fitted to.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from memguard.units import MIB, parse_size
from tests.bench._estimate_runs import texts

# Prints {"missing": …} or the figures. /proc/self/clear_refs sets VmHWM back to what is resident now.
PROGRAM = """\
import gc, json, sys
def status(key):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(key))
setup, call, count, path, tokenizer = sys.argv[1:]
with open(path, encoding="utf-8", newline="") as file:
    text = file.read()
names = {"text": text, "lines": text.splitlines(), "path": path, "tokenizer": tokenizer}
try:
    exec(setup, names)
except ImportError as error:
    print(json.dumps({"missing": str(error)}))
    raise SystemExit
before = status("VmRSS")
with open("/proc/self/clear_refs", "w") as file:
    file.write("5")
exec(call, names)
peak, kept = status("VmHWM") - before, status("VmRSS") - before
tokens = eval(count, names)
names.pop("r", None)
gc.collect()
print(json.dumps({"bytes": len(text.encode()), "lines": len(names["lines"]), "tokens": tokens,
                  "peak": peak, "kept": kept, "left": status("VmRSS") - before}))
"""

_TOKENIZERS = 'from tokenizers import Tokenizer\ntok = Tokenizer.from_file(tokenizer)\ntok.encode("a word")'
_TRANSFORMERS = (
    "from transformers import PreTrainedTokenizerFast\n"
    'tok = PreTrainedTokenizerFast(tokenizer_file=tokenizer)\ntok("a word")'
)
_TRAINER = (
    "from tokenizers import Tokenizer, models, pre_tokenizers, trainers\n"
    "tok = Tokenizer(models.BPE())\ntok.pre_tokenizer = pre_tokenizers.ByteLevel()\n"
    "trainer = trainers.BpeTrainer(vocab_size=8000, show_progress=False)"
)
_TRAIN = "sentencepiece.SentencePieceTrainer.train(input=path, model_prefix=path, vocab_size=4000, minloglevel=2"
_SENTENCEPIECE = (
    f'import sentencepiece\n{_TRAIN}, model_type="bpe")\n'
    'tok = sentencepiece.SentencePieceProcessor(model_file=path + ".model")'
)
_SPACY = 'import spacy\nnlp = spacy.blank("en")\nnlp.max_length = 10**9'
_NLTK = "from nltk.tokenize import NLTKWordTokenizer\ntok = NLTKWordTokenizer()"
_OF_LISTS, _OF_DICT = "sum(map(len, r))", 'sum(map(len, r["input_ids"]))'

# name → (what comes before, the call, how many tokens came of it)
CALLS = {
    "encode": (_TOKENIZERS, "r = tok.encode(text)", "len(r)"),
    "encode.ids": (_TOKENIZERS, "r = tok.encode(text).ids", "len(r)"),
    "batch": (_TOKENIZERS, "r = tok.encode_batch(lines)", _OF_LISTS),
    "batch_fast": (_TOKENIZERS, "r = tok.encode_batch_fast(lines)", _OF_LISTS),
    "each": (_TOKENIZERS, "r = [tok.encode(line) for line in lines]", _OF_LISTS),
    "hf": (_TRANSFORMERS, "r = tok(text)", 'len(r["input_ids"])'),
    "hf.encode": (_TRANSFORMERS, "r = tok.encode(text)", "len(r)"),
    "hf.tokenize": (_TRANSFORMERS, "r = tok.tokenize(text)", "len(r)"),
    "hf.lines": (_TRANSFORMERS, "r = tok(lines)", _OF_DICT),
    "hf.cut": (_TRANSFORMERS, "r = tok(lines, truncation=True, max_length=16)", _OF_DICT),
    "hf.np": (_TRANSFORMERS, 'r = tok(text, return_tensors="np")', 'r["input_ids"].size'),
    "spm": (_SENTENCEPIECE, "r = tok.encode(text)", "len(r)"),
    "spm.str": (_SENTENCEPIECE, "r = tok.encode(text, out_type=str)", "len(r)"),
    "spm.lines": (_SENTENCEPIECE, "r = tok.encode(lines)", _OF_LISTS),
    "train": (_TRAINER, "tok.train([path], trainer)", "tok.get_vocab_size()"),
    "spm.train": ("import sentencepiece", f'{_TRAIN}, model_type="bpe")', "4000"),
    "spm.unigram": ("import sentencepiece", f"{_TRAIN})", "4000"),
    "nltk": (_NLTK, "r = tok.tokenize(text)", "len(r)"),
    "spacy": (_SPACY, "r = nlp(text)", "len(r)"),
    "spacy.pipe": (_SPACY, "r = list(nlp.pipe(lines))", _OF_LISTS),
}
LIBRARIES = ("tokenizers", "transformers", "sentencepiece", "nltk", "spacy")
_IMPORT = """\
import sys
def status():
    with open("/proc/self/status") as file:
        return [int(line.split()[1]) * 1024 for line in file if line.startswith(("VmRSS", "RssAnon"))]
import numpy
before = status()
__import__(sys.argv[1])
print(*(b - a for a, b in zip(before, status())), "torch" in sys.modules)
"""


def main(arguments: list[str]) -> int:
    options = _parser().parse_args(arguments)
    if options.libraries:
        return _print_libraries(options.python)
    chosen = {name: call for name, call in CALLS.items() if not options.call or name in options.call}
    with tempfile.TemporaryDirectory(prefix="memguard-bench-") as name:
        path = Path(name, "text.txt")
        for size in map(parse_size, options.size or ["1MB", "4MB"]):
            for label, make in texts(size, options.text, not options.text):
                path.write_bytes(make())
                for call, (setup, code, count) in chosen.items():
                    if _needs_file(setup) and not options.tokenizer:
                        print(f"{call}: skipped, needs --tokenizer")
                        continue
                    command = [options.python, "-c", PROGRAM, setup, code, count, str(path), options.tokenizer]
                    done = subprocess.run(command, capture_output=True, text=True)
                    print(f"{call:12} {label}: {_line(done)}", flush=True)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench tokenizers", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--python", default=sys.executable, help="interpreter that has the libraries")
    parser.add_argument("--size", action="append", default=[], help="bytes per text; may be repeated")
    parser.add_argument("--text", action="append", default=[], help="a real text, cut to --size; may be repeated")
    parser.add_argument("--call", action="append", default=[], choices=CALLS, help="only this one; may be repeated")
    parser.add_argument("--tokenizer", default="", help="a tokenizer.json")
    parser.add_argument("--libraries", action="store_true", help="only measure what importing the libraries adds")
    return parser


def _needs_file(setup: str) -> bool:
    return "tokenizer)" in setup or "=tokenizer" in setup


def _line(done: subprocess.CompletedProcess[str]) -> str:
    if done.returncode:
        return f"failed: {done.stderr.strip().splitlines()[-1:]}"
    found = json.loads(done.stdout.strip().splitlines()[-1])
    if "missing" in found:
        return f"skipped: {found['missing']}"
    peak, kept, left = found["peak"], found["kept"], found["left"]
    each = f"{peak / found['bytes']:.1f} B a byte, {peak / max(1, found['tokens']):.1f} a token"
    return (
        f"{found['bytes']} bytes, {found['tokens']} tokens, {found['lines']} lines: "
        f"peak {peak / MIB:.1f} MiB ({each}), kept {kept / MIB:.1f}, left {left / MIB:.1f}"
    )


def _print_libraries(python: str) -> int:
    for name in LIBRARIES:
        done = subprocess.run([python, "-c", _IMPORT, name], capture_output=True, text=True)
        if done.returncode:
            print(f"{name}: skipped, not installed there")
            continue
        resident, anonymous, torch = done.stdout.split()
        with_torch = ", torch with it" * (torch == "True")
        print(f"{name}: {int(resident) / MIB:.1f} MiB resident, {int(anonymous) / MIB:.1f} anonymous{with_torch}")
    return 0
