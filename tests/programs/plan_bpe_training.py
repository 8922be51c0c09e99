"""A byte-level BPE of Hugging Face's tokenizers, trained on a text.

usage: plan_bpe_training.py INPUT OUTPUT_DIR HOW [VOCABULARY]     HOW: files, or iterator
"""

import os
import sys

from tokenizers import Tokenizer, models, pre_tokenizers, trainers

path, output, how = sys.argv[1:4]
vocabulary = int(sys.argv[4]) if len(sys.argv) > 4 else 8000
tokenizer = Tokenizer(models.BPE())
tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
trainer = trainers.BpeTrainer(vocab_size=vocabulary, show_progress=False, special_tokens=["<|endoftext|>"])
if how == "files":
    tokenizer.train([path], trainer)
else:
    with open(path, "r", encoding="utf-8") as file:
        tokenizer.train_from_iterator(file, trainer)
tokenizer.save(os.path.join(output, "tokenizer.json"))
print(tokenizer.get_vocab_size(), 0)
