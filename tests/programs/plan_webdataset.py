"""The records of a JSONL file as samples of tar shards, one sample a document (webdataset).

usage: plan_webdataset.py INPUT OUTPUT_DIR [SAMPLES]     INPUT: .jsonl with a field `text`; SAMPLES: of a shard
"""

import json
import os
import sys

import webdataset

path, output = sys.argv[1:3]
samples = int(sys.argv[3]) if len(sys.argv) > 3 else 100_000
count = 0
with webdataset.ShardWriter(os.path.join(output, "%06d.tar"), maxcount=samples, verbose=0) as sink:
    with open(path, "r", encoding="utf-8") as file:
        for count, line in enumerate(file, 1):
            sink.write({"__key__": f"{count:09d}", "txt": json.loads(line)["text"]})
print(count, 0)
