"""load_dataset, then map with a fast Hugging Face tokenizer in batches; with BLOCK, group_texts after it (run_clm).

usage: plan_hf_map.py INPUT OUTPUT_DIR TOKENIZER [WORKERS [BLOCK]]
INPUT: .txt (a document a line), .jsonl or .parquet with a column `text`; TOKENIZER: a tokenizer.json
"""

import os
import sys
from itertools import chain

from datasets import disable_progress_bars, load_dataset
from transformers import PreTrainedTokenizerFast

path, output = sys.argv[1:3]
tokenizer = PreTrainedTokenizerFast(tokenizer_file=sys.argv[3])
workers = int(sys.argv[4]) if len(sys.argv) > 4 else 1
block = int(sys.argv[5]) if len(sys.argv) > 5 else 0


def tokenize(batch):
    return tokenizer(batch["text"])


def group_texts(batch):
    joined = {name: list(chain(*batch[name])) for name in batch}
    total = len(joined["input_ids"]) // block * block
    result = {name: [ids[i : i + block] for i in range(0, total, block)] for name, ids in joined.items()}
    result["labels"] = result["input_ids"].copy()
    return result


if __name__ == "__main__":
    disable_progress_bars()
    kind = {".jsonl": "json", ".parquet": "parquet"}.get(os.path.splitext(path)[1], "text")
    dataset = load_dataset(kind, data_files=path, split="train", cache_dir=os.path.join(output, "cache"))
    several = workers if workers > 1 else None
    tokenized = dataset.map(tokenize, batched=True, remove_columns=["text"], num_proc=several)
    if block:
        tokenized = tokenized.map(group_texts, batched=True, num_proc=several)
    print(len(tokenized), 0)
