"""Text to token files: bounded memory, exactly tiktoken's tokens.

source.py reads files as blocks, split.py says where a text may be cut, encode.py turns bytes into ids, writer.py and
manifest.py put them on disk, budget.py divides the memory, and job.py is the whole line.
"""
