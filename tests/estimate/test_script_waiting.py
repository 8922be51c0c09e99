"""What waits in a parent, and what a tokenizer pads to its model's own length."""

from __future__ import annotations

from memguard.script.read import read_script

_HEAD = "import multiprocessing, tiktoken\nenc = tiktoken.get_encoding('gpt2')\n"


def test_lists_of_ids_of_imap_may_wait_in_the_parent() -> None:
    source = _HEAD + "for ids in multiprocessing.Pool(2).{}(enc.encode, open('a')):\n    pass\n"
    assert read_script(source.format("imap"), "s.py").needs("waiting results")
    assert read_script(source.format("imap_unordered"), "s.py").needs("waiting results")
    assert not read_script(source.format("map"), "s.py").needs("waiting results")


def test_a_tokenizer_pads_to_its_models_own_length() -> None:
    source = (
        "from transformers import AutoTokenizer\ntok = AutoTokenizer.from_pretrained('{}')\n"
        "y = tok(open('a').readlines(), padding='max_length', truncation=True)\nprint()\n"
    )
    for name, longest in (("gpt2", 1024.0), ("bert-base-uncased", 512.0)):
        trace = read_script(source.format(name), "s.py")
        rows = {held.buffer.row for moment in trace.moments for held in moment.alive if held.kind == "lists"}
        assert rows == {longest}


def test_a_streaming_dataset_brings_torch() -> None:
    source = "import datasets\nd = datasets.load_dataset('json', data_files='a', streaming={})\n"
    assert "torch" in read_script(source.format(True), "s.py").imported
    assert "torch" not in read_script(source.format(False), "s.py").imported


def test_map_of_one_process_starts_none() -> None:
    source = "import datasets\nd = datasets.load_dataset('json', data_files='a').map(lambda row: row{})\n"
    assert not read_script(source.format(""), "s.py").processes
    assert read_script(source.format(", num_proc=2"), "s.py").processes
