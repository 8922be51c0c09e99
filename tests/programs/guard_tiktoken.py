"""Hostile: one very long string in one call of tiktoken: 1.5 GiB in the end."""
import pydoc_data.topics

import tiktoken

encoding = tiktoken.get_encoding("gpt2")
text = "\n".join(pydoc_data.topics.topics.values()) * 120
ids = encoding.encode_ordinary(text)  # CULPRIT
