"""A list for each language in a dict; the callback empties the dict."""
from collections import defaultdict

from corpus import documents, encode, save

import memguard

by_language, written = defaultdict(list), 0


@memguard.on_pressure
def write_out():
    global written
    for ids in by_language.values():
        save(written, ids)
        written += 1
    by_language.clear()


for doc in memguard.checkpoints(documents()):
    by_language["en"].extend(encode(doc))
write_out()
