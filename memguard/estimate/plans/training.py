"""Plans that train a tokenizer on a text. Pure; see words.py for the prices. Neither numpy nor tiktoken is loaded.

The figures are those of the texts as one file of lines: sentencepiece leaves out lines above 4,192 bytes
(max_sentence_length), which are counted here.
"""

from __future__ import annotations

from memguard.estimate.plans.costs import Costs
from memguard.estimate.plans.quantities import Options, Text, step
from memguard.estimate.plans.words import counted_words, guessed_words, trained_on_lines, trained_on_suffixes
from memguard.records.estimate import Step, WordStats
from memguard.units import MIB

__all__ = ["sentencepiece_bpe", "sentencepiece_unigram", "tokenizers_bpe", "vocabulary_file"]

# Python with sentencepiece 0.2.3 or tokenizers 0.23.3 alone is 16.3 and 15.3 MiB; with numpy, tiktoken and GPT-2's
# vocabulary 52.6.
_SENTENCEPIECE, _TOKENIZERS = round(-36.3 * MIB), round(-37.3 * MIB)
# Words that were not counted: 16 MB of five other languages have up to five times the bytes of them that technical
# English has.
_AT_WORST = 5
# Of 8,000 entries: 456 to 545 KB, the model and its list of words, or tokenizer.json.
_VOCABULARY_FILE = 500_000


def vocabulary_file(text: Text) -> int:
    """What a trainer writes does not depend on the text: the bytes for 8,000 entries."""
    del text
    return _VOCABULARY_FILE


def sentencepiece_bpe(text: Text, costs: Costs, options: Options) -> tuple[Step, ...]:
    """SentencePieceTrainer.train(input=f, model_type="bpe"), with its 16 threads."""
    del options
    words, how = _words(text)
    trained = trained_on_lines(text.bytes, words.chars, words.pairs)
    return _trained(costs, "sentencepiece", _SENTENCEPIECE, f"the lines, symbols and pairs of the words{how}", trained)


def sentencepiece_unigram(text: Text, costs: Costs, options: Options) -> tuple[Step, ...]:
    """SentencePieceTrainer.train(input=f): unigram is its default."""
    del options
    trained = trained_on_suffixes(text.bytes)
    return _trained(costs, "sentencepiece", _SENTENCEPIECE, "the lines and their suffix array", trained)


def tokenizers_bpe(text: Text, costs: Costs, options: Options) -> tuple[Step, ...]:
    """Tokenizer(BPE()) with ByteLevel, train([f], BpeTrainer(…)): every word that differs, and its pairs."""
    del options
    words, how = _words(text)
    trained = counted_words(words.count, words.bytes, words.wide_bytes)
    return _trained(costs, "tokenizers", _TOKENIZERS, f"the words that differ, symbols and pairs{how}", trained)


def _words(text: Text) -> tuple[WordStats, str]:
    """Those of the text; where they were not counted a guess, and the words that say so."""
    if text.words is not None:
        return text.words, ""
    times = _AT_WORST if text.at_worst else 1.0
    return guessed_words(text.bytes, times), " (not counted)"


def _trained(costs: Costs, library: str, instead: int, what: str, trained: float) -> tuple[Step, ...]:
    python = f"Python and {library}", max(0, costs.baseline + instead)
    return step("import", python), step("train", python, (what, round(trained)))
