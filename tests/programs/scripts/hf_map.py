# after nanoGPT's openwebtext
import os
import sys
from tqdm import tqdm
import numpy as np
import tiktoken
from datasets import load_dataset

num_proc = 2
enc = tiktoken.get_encoding("gpt2")

if __name__ == '__main__':
    dataset = load_dataset("json", data_files=sys.argv[1], num_proc=1)
    split_dataset = dataset["train"].train_test_split(test_size=0.01, seed=2357, shuffle=True)
    split_dataset['val'] = split_dataset.pop('test')

    def process(example):
        ids = enc.encode_ordinary(example['text'])
        ids.append(enc.eot_token)
        return {'ids': ids, 'len': len(ids)}

    tokenized = split_dataset.map(process, remove_columns=['text'], desc="tokenizing", num_proc=num_proc)

    for split, dset in tokenized.items():
        arr_len = np.sum(dset['len'], dtype=np.uint64)
        filename = os.path.join(sys.argv[2], f'{split}.bin')
        arr = np.memmap(filename, dtype=np.uint16, mode='w+', shape=(arr_len,))
        total_batches = min(64, len(dset))
        idx = 0
        for batch_idx in tqdm(range(total_batches), desc=f'writing {filename}'):
            batch = dset.shard(num_shards=total_batches, index=batch_idx, contiguous=True).with_format('numpy')
            arr_batch = np.concatenate(batch['ids'])
            arr[idx : idx + len(arr_batch)] = arr_batch
            idx += len(arr_batch)
        arr.flush()
