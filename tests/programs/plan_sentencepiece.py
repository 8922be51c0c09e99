"""sentencepiece trained on a text: a sentence a line, all of them in memory.

usage: plan_sentencepiece.py INPUT OUTPUT_DIR MODEL [VOCABULARY]     MODEL: unigram or bpe
"""

import os
import sys

import sentencepiece

path, output, kind = sys.argv[1:4]
vocabulary = int(sys.argv[4]) if len(sys.argv) > 4 else 8000
sentencepiece.SentencePieceTrainer.train(
    input=path,
    model_prefix=os.path.join(output, "tokens"),
    model_type=kind,
    vocab_size=vocabulary,
    hard_vocab_limit=False,
    minloglevel=2,
)
print(vocabulary, 0)
