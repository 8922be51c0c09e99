"""What a prep plan will need before it runs: file → CorpusStats, plan × stats × limits → Estimate.

scan.py reads every byte of the text (characters, width, newlines); sample.py counts tokens, exactly or from a
stratified sample; corpus.py joins both into a Corpus. costs.py knows what this interpreter's objects cost, baseline.py
measures what it costs before the first byte is read, plans.py holds the plans as steps, and model.py (pure) puts them
together. Nothing here runs a user's script.
"""
