"""datatrove's DocumentTokenizer, one task per core.    datatrove_documents.py FILE OUT (the vocabulary: $GPT2_FILES)"""

import os
import sys
import tempfile

from datatrove.data import Document
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.tokens import DocumentTokenizer
from documents import documents
from tokenizers import Tokenizer, decoders, models, pre_tokenizers


def read(data, rank=0, world_size=1):
    for number, text in enumerate(documents(sys.argv[1])):
        if number % world_size == rank:
            yield Document(text=text, id=str(number))


if __name__ == "__main__":
    files, cores = os.environ["GPT2_FILES"], len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as scratch:
        model = models.BPE.from_file(os.path.join(files, "encoder.json"), os.path.join(files, "vocab.bpe"))
        tokenizer = Tokenizer(model)
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        tokenizer.add_special_tokens(["<|endoftext|>"])
        path = os.path.join(scratch, "tokenizer.json")
        tokenizer.save(path)
        step = DocumentTokenizer(
            output_folder=sys.argv[2], local_working_dir=scratch, tokenizer_name_or_path=path, eos_token="<|endoftext|>"
        )
        LocalPipelineExecutor(
            pipeline=[read, step], tasks=cores, workers=cores, logging_dir=os.path.join(scratch, "logs")
        ).run()
