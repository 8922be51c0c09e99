"""What tokenizers of the field cost in a script: the arithmetic of each price, written out once more.

The text is 100 MB of ASCII: 25 M tokens, 18.75 M of them with an int object of their own, a million lines.
"""

from __future__ import annotations

import dataclasses
import math

import pytest

from memguard.estimate.plans.quantities import text_of
from memguard.estimate.script.amounts import TextShape
from memguard.estimate.script.report import estimate_script
from tests.estimate.script_texts import BASELINE, COSTS, M, ascii_text, at_line, limits_of, read, weigh

HF = 'from tokenizers import Tokenizer\ntok = Tokenizer.from_file("tok.json")\ntext = open("a.txt").read()\n'
# numpy and tiktoken are not imported, tokenizers is; 50,000 entries of a vocabulary; the text.
BASE = (7 - 40) * 1024 * 1024  # beside what the tests' Python weighs
TABLES, TEXT, TOKENS, LINES = 680 * 50_000, 100 * M, 25 * M, M


def test_a_whole_text_is_in_pieces_in_a_map_and_in_an_encoding() -> None:
    report = weigh(HF + "encoding = tok.encode(text)\ndel text\nprint(len(encoding))\n")
    pieces = (18 + 384 / 5.2) * TEXT + 32 * TOKENS
    table = 17 * (1 << 27)  # 117 M entries at 7/8
    assert at_line(report, 4) == pytest.approx(BASE + TABLES + TEXT + pieces + table + 1.5 * 64 * TOKENS, rel=0.01)
    kept = 96 * TOKENS + 20 * TEXT + 72 * TEXT
    assert at_line(report, 6) == pytest.approx(BASE + TABLES + kept, rel=0.01)


def test_what_malloc_keeps_outlives_the_encoding_and_is_used_again() -> None:
    once = weigh(HF + "ids = tok.encode(text).ids\ndel text\nprint(len(ids))\n")
    twice = weigh(HF + "ids = tok.encode(text).ids\nids = tok.encode(text).ids\ndel text\nprint(len(ids))\n")
    ids = 8 * TOKENS + 32 * TOKENS * 3 // 4
    assert at_line(once, 5) == pytest.approx(BASE + TABLES + 72 * TEXT + ids, rel=0.01)
    assert at_line(twice, 6) == at_line(once, 5)


def test_a_batch_is_priced_by_tokens_and_texts_and_stays_when_it_has_gone() -> None:
    report = weigh(
        HF
        + "lines = text.splitlines()\ndel text\nencodings = tok.encode_batch(lines)\nprint()\ndel encodings\nprint()\n"
    )
    strings = TEXT + 64 * LINES + 8 * LINES
    batch = 100 * TOKENS + 800 * LINES
    assert at_line(report, 6) == pytest.approx(BASE + TABLES + strings + batch + TEXT + 450 * LINES, rel=0.01)
    assert at_line(report, 7) == pytest.approx(BASE + TABLES + strings + batch, rel=0.01)
    assert at_line(report, 9) == pytest.approx(BASE + TABLES + strings + 0.88 * batch, rel=0.01)


def test_truncated_and_padded_batches_have_as_many_tokens_as_they_say() -> None:
    head = HF.replace("tokenizers import Tokenizer", "transformers import PreTrainedTokenizerFast as Tokenizer")
    lines = "lines = text.splitlines()\ndel text\n"
    whole = at_line(weigh(head + lines + "batch = tok(lines)\nprint()\n"), 6)
    cut = at_line(weigh(head + lines + "batch = tok(lines, truncation=True, max_length=10)\nprint()\n"), 6)
    # 25 tokens a line, of which 15 go from each of three lists. In the Encodings they stay, as further pieces of 10:
    # the lengths of lines are not known here, and taken as spread exponentially. The ints stay.
    more = 1 / -math.expm1(-10 / 25) - 1
    assert cut - whole == pytest.approx(700 * more * LINES - 15 * LINES * 3 * 8, rel=0.01)
    shape = TextShape(longest_line=4000, line_bytes=())
    source = (
        head
        + lines
        + 'batch = tok(lines, padding=True, max_length=64, truncation=True, return_tensors="np")\nprint()\n'
    )
    stats = ascii_text()
    report = estimate_script(read(source), stats, shape, limits_of(1 << 40), COSTS)
    assert at_line(report, 6) >= 64 * LINES * (100 + 3 * 8)
    assert text_of(stats, "expected").documents.count == LINES


def test_trainers_follow_the_words_that_differ() -> None:
    source = """\
        from tokenizers import Tokenizer, models, pre_tokenizers, trainers
        tok = Tokenizer(models.BPE())
        tok.pre_tokenizer = pre_tokenizers.ByteLevel()
        tok.train(["a.txt"], trainers.BpeTrainer(vocab_size=8000))
        """
    counted = TextShape(distinct=100_000, distinct_bytes=M, distinct_chars=2 * M, distinct_pairs=10_000)
    mib = 1024 * 1024

    def top(source: str, shape: TextShape) -> int:
        return (
            estimate_script(read(source), ascii_text(), shape, limits_of(1 << 40), COSTS).plan.peak.expected - BASELINE
        )

    assert top(source, counted) == pytest.approx(BASE + 6 * mib + 170 * 100_000 + 87 * M, rel=0.01)
    # Without a pre-tokenizer each line is one word.
    without = source.replace("tok.pre_tokenizer =", "other =")
    assert top(without, counted) == pytest.approx(BASE + 6 * mib + 170 * LINES + 87 * TEXT, rel=0.01)
    lines = "import sentencepiece\nsentencepiece.SentencePieceTrainer.train(input='a.txt', model_type='bpe')\n"
    trainer = BASE + mib + 9.2 * M
    one_thread = trainer + 0.98 * TEXT + 36 * 2 * M + 650 * 10_000
    assert top(lines, counted) == pytest.approx(one_thread + 3.3 * TEXT, rel=0.01)  # 16, unless it says how many
    assert top(lines.replace("model_type", "num_threads=1, model_type"), counted) == pytest.approx(one_thread, rel=0.01)
    four = top(lines.replace("model_type", "num_threads=4, model_type"), counted)
    assert one_thread + 0.9 * TEXT < four < one_thread + 1.3 * TEXT
    typed = "import sentencepiece\nsize = 8000\nname = 'a.txt'\nsentencepiece.SentencePieceTrainer.train("
    typed += "f'--input={name} --vocab_size={size} --model_type=bpe --num_threads=1')"
    assert top(typed, counted) == pytest.approx(one_thread, rel=0.01)
    few = lines.replace("model_type", "input_sentence_size=1000, model_type")
    assert top(few, counted) < BASE + 25 * mib
    unigram = trainer + 18.9 * TEXT
    assert top(lines.replace(", model_type='bpe'", ""), counted) == pytest.approx(unigram, rel=0.01)


def test_other_models_are_trained_on_other_words() -> None:
    shape = TextShape(distinct=M, distinct_bytes=9 * M, distinct_wide=M, distinct_bare=100_000, distinct_bare_chars=M)
    shape = dataclasses.replace(shape, distinct_spaced_bytes=2 * M)
    mib = 1024 * 1024

    def top(source: str) -> int:
        source = f"import tokenizers\n{source}\ntok.train(files=['a.txt'])\n"
        report = estimate_script(read(source), ascii_text(), shape, limits_of(1 << 40), COSTS)
        return report.plan.peak.expected - BASELINE

    of_bytes = top("tok = tokenizers.ByteLevelBPETokenizer()")
    assert of_bytes == pytest.approx(BASE + 6 * mib + 170 * M + 87 * 9 * M + 20 * M, rel=0.01)
    bert = top("tok = tokenizers.BertWordPieceTokenizer(lowercase=True)")
    assert bert == pytest.approx(BASE + 6 * mib + 170 * 100_000 + 125 * M, rel=0.01)
    level = top("tok = tokenizers.Tokenizer(tokenizers.models.WordLevel())\ntok.pre_tokenizer = x")
    assert level == pytest.approx(BASE + 6 * mib + 170 * M, rel=0.01)
    unigram = top("tok = tokenizers.SentencePieceUnigramTokenizer()")
    assert unigram == pytest.approx(BASE + 16 * M + 189 * 2 * M + 70 * M, rel=0.01)
    lines = top("tok = tokenizers.Tokenizer(tokenizers.models.Unigram())")  # without a pre-tokenizer
    assert lines == pytest.approx(BASE + 16 * M + 189 * TEXT, rel=0.01)


def test_each_worker_has_the_tokenizer_that_it_loads() -> None:
    pool = """\
        from multiprocessing import {module}
        import tiktoken
        def work(path):
            enc = tiktoken.get_encoding("gpt2")
            return len(enc.encode(open(path).readline()))
        {pool}.map(work, ["a.txt", "b.txt"])
        """
    fork = weigh(pool.format(module="Pool", pool="Pool(8)"))
    more = weigh(pool.format(module="Pool", pool="Pool(16)"))
    vocabulary = 8 * 50_257 * (459 + 292)
    assert more.plan.peak.expected - fork.plan.peak.expected == pytest.approx(vocabulary + 8 * 8 * 2**20, rel=0.1)
    spawned = weigh(pool.format(module="get_context", pool='get_context("spawn").Pool(8)'))
    assert spawned.plan.peak.expected > fork.plan.peak.expected + 8 * 2**20
    threads = weigh(pool.format(module="pool", pool="pool.ThreadPool(8)"))
    assert threads.plan.peak.expected < fork.plan.peak.expected - vocabulary / 2


def test_the_band_is_wider_than_for_lists_of_ids() -> None:
    peak = weigh(HF + "encoding = tok.encode(text)\n").plan.peak
    assert peak.high >= 1.1 * peak.expected
    assert peak.low <= 0.91 * peak.expected
