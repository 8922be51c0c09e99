"""What the training of a tokenizer takes, each in a Python of its own, against the prices of estimate/script.

    python -m tests.bench training --python PYTHON                 made texts, 2 and 6 MB, every row
    python -m tests.bench training --text en.txt --text multi.txt --size 6MB --row bpe --row "bpe, 1 thread"

One line for each row, size and text: the peak beside what the imports take, the price, and price / peak. Rows whose
library PYTHON does not have are skipped, with that reason. tokenizers' Unigram takes a minute for 3 MB.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from memguard.estimate.baseline import FALLBACK_ANONYMOUS
from memguard.estimate.corpus.inputs import find_inputs
from memguard.estimate.corpus.read import Depth, read_corpus
from memguard.estimate.corpus.vocabulary import with_distinct_words
from memguard.estimate.plans.costs import read_costs
from memguard.estimate.plans.quantities import text_of
from memguard.estimate.script.amounts import TextShape
from memguard.estimate.script.scale import Scale
from memguard.estimate.script.training_prices import TRAINING_TRANSIENTS
from memguard.script.extents import Extent
from memguard.script.trace import Transient
from memguard.units import MIB, parse_size
from tests.bench._estimate_runs import texts

_PROGRAM = """\
import sys
def status(key):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(key))
path, before, train = sys.argv[1:]
try:
    exec(before)
except ImportError as error:
    print("missing:", error)
    raise SystemExit
start = status("VmRSS")
exec(train)
print(status("VmHWM") - start)
"""
_SPM = "import sentencepiece"
_TOKENIZERS = "from tokenizers import Tokenizer, models, pre_tokenizers, trainers"
_SPECIAL = 'unk_token="<unk>", special_tokens=["<unk>"], show_progress=False'


def _spm(options: str) -> str:
    given = f"input=path, model_prefix=path, vocab_size=8000, minloglevel=2{options}"
    return f"sentencepiece.SentencePieceTrainer.train({given})"


def _tok(model: str, pre: str, trainer: str) -> str:
    return f"t = Tokenizer({model}); t.pre_tokenizer = pre_tokenizers.{pre}; t.train([path], trainers.{trainer})"


# name → (what comes before, the call, the price's kind, threads, lines of the text at most)
ROWS = {
    "bpe": (_SPM, _spm(', model_type="bpe"'), "training on lines", 16, 0),
    "bpe, 1 thread": (_SPM, _spm(', model_type="bpe", num_threads=1'), "training on lines", 1, 0),
    "bpe, 4 threads": (_SPM, _spm(', model_type="bpe", num_threads=4'), "training on lines", 4, 0),
    "bpe, 8 threads": (_SPM, _spm(', model_type="bpe", num_threads=8'), "training on lines", 8, 0),
    "bpe, 50,000 lines": (_SPM, _spm(', model_type="bpe", input_sentence_size=50000'), "training on lines", 16, 50_000),
    "unigram": (_SPM, _spm(""), "training on suffixes", 16, 0),
    "unigram, 50,000 lines": (_SPM, _spm(", input_sentence_size=50000"), "training on suffixes", 16, 50_000),
    "tokenizers BPE": (
        _TOKENIZERS,
        _tok("models.BPE()", "ByteLevel()", "BpeTrainer(vocab_size=8000, show_progress=False)"),
        "word counts",
        1,
        0,
    ),
    "tokenizers WordPiece": (
        "from tokenizers import BertWordPieceTokenizer",
        "BertWordPieceTokenizer(lowercase=True).train([path], vocab_size=30000, show_progress=False)",
        "bare word counts",
        1,
        0,
    ),
    "tokenizers WordLevel": (
        _TOKENIZERS,
        _tok("models.WordLevel()", "Whitespace()", "WordLevelTrainer(vocab_size=30000, show_progress=False)"),
        "words alone",
        1,
        0,
    ),
    "tokenizers Unigram": (
        _TOKENIZERS,
        _tok("models.Unigram()", "Metaspace()", f"UnigramTrainer(vocab_size=8000, {_SPECIAL})"),
        "seeds",
        1,
        0,
    ),
}


def main(arguments: list[str]) -> int:
    options = _parser().parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="memguard-bench-") as directory:
        path = Path(directory, "text.txt")
        for size in map(parse_size, options.size or ["2MB", "6MB"]):
            for label, make in texts(size, options.text, not options.text):
                path.write_bytes(make())
                for row in options.row or list(ROWS):
                    print(f"{row:22} {label} {size // 1_000_000} MB: {_line(options.python, row, path)}", flush=True)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench training", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--python", default=sys.executable, help="interpreter that has the libraries")
    parser.add_argument("--size", action="append", default=[], help="bytes per text; may be repeated")
    parser.add_argument("--text", action="append", default=[], help="a real text, cut to --size; may be repeated")
    parser.add_argument("--row", action="append", default=[], choices=ROWS, help="only this one; may be repeated")
    return parser


def _line(python: str, row: str, path: Path) -> str:
    before, train, _, _, _ = ROWS[row]
    done = subprocess.run([python, "-c", _PROGRAM, str(path), before, train], capture_output=True, text=True)
    if done.returncode:
        return f"failed: {done.stderr.strip().splitlines()[-1:]}"
    last = done.stdout.strip().splitlines()[-1]
    if last.startswith("missing"):
        return f"skipped: {last}"
    peak, price = int(last), _price(row, path)
    return f"peak {peak / MIB:.1f} MiB, price {price / MIB:.1f}, ratio {price / peak:.2f}"


def _price(row: str, path: Path) -> float:
    _, _, kind, threads, lines = ROWS[row]
    stats = read_corpus(find_inputs([str(path)], None), "gpt2", depth=Depth()).stats
    costs = read_costs(FALLBACK_ANONYMOUS, FALLBACK_ANONYMOUS)
    scale = Scale(text_of(stats, "expected"), with_distinct_words(TextShape(), [str(path)]), costs)
    extent = Extent().window(0, "lines of text", float(lines)) if lines else Extent()
    return TRAINING_TRANSIENTS[kind](scale, scale.piece(extent), Transient("", kind, extent, 1.0, float(threads)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
