"""Small `tokenizer.json` files of every kind that is read, and how to write one down."""

import base64
import json

import numpy as np

from minilm.tokenizers.bpe_regex import byte_order
from minilm.tokenizers.saving import BYTE

END = "<|endoftext|>"
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def write(content, folder, name="tokenizer.json"):
    path = folder / name
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return path


def token(number, text, **options):
    """An added token, special and without options unless they are given."""
    plain = dict(single_word=False, lstrip=False, rstrip=False, normalized=False, special=True)
    return {"id": number, "content": text} | plain | options


def byte_level(prefix=False, use_regex=True):
    return {"type": "ByteLevel", "add_prefix_space": prefix} | {
        "trim_offsets": True,
        "use_regex": use_regex,
    }


MERGES = [["t", "h"], ["th", "e"], ["Ġ", "the"], ["a", "b"], ["Ġ", "Ġ"]]
MERGED = {"th": 256, "the": 257, "Ġthe": 258, "ab": 259, "ĠĠ": 260}


def bpe(added=(), vocabulary=(), merges=MERGES, **changes):
    """A byte-level BPE: 256 bytes, five merges, and what is added; the next free id is 261."""
    names = {v: k for k, v in BYTE.items()}
    vocab = {names[b]: i for i, b in enumerate(byte_order())} | MERGED | dict(vocabulary)
    content = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": list(added),
        "normalizer": None,
        "pre_tokenizer": byte_level(),
        "post_processor": None,
        "decoder": byte_level(),
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": vocab,
            "merges": merges,
        },
    }
    return content | changes


def template(before, after):
    """A post-processor that puts these ids around a text."""
    names = {f"t{number}": number for number in (*before, *after)}
    pieces = [[{"SpecialToken": {"id": f"t{n}", "type_id": 0}} for n in s] for s in (before, after)]
    text = {"Sequence": {"id": "A", "type_id": 0}}
    single = [*pieces[0], text, *pieces[1]]
    return {
        "type": "TemplateProcessing",
        "single": single,
        "pair": [*single, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {n: {"id": n, "ids": [i], "tokens": [n]} for n, i in names.items()},
    }


def bert(**changes):
    """A WordPiece as BERT's: letters alone and going on, some words, Chinese, accents, signs."""
    marks = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    pieces = marks + list(LETTERS) + [f"##{c}" for c in LETTERS]
    pieces += ["the", "un", "##aff", "##able", "中", "é", "##é", ".", ",", "'", "!", "don", "is"]
    normalizer = {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True}
    content = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [token(i, mark, lstrip=mark == "[MASK]") for i, mark in enumerate(marks)],
        "normalizer": normalizer | {"strip_accents": None, "lowercase": True},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": template((2,), (3,)),
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": {piece: i for i, piece in enumerate(pieces)},
        },
    }
    return content | changes


def t5(**changes):
    """A Unigram as T5's, with a small table of characters that are replaced."""
    scored = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0)]
    scored += [(c, -5.0 - i / 10) for i, c in enumerate(LETTERS)]
    scored += [("▁the", -3.0), ("th", -4.0), ("▁t", -4.1), ("he", -4.2), ("▁a", -3.5)]
    scored += [("ab", -7.5), ("é", -8.0), ("fi", -6.0), (".", -4.5), ("▁▁", -9.0), ("1", -6.5)]
    count = len(scored)
    cut = {"type": "Metaspace", "replacement": "▁", "add_prefix_space": True}
    content = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            *(token(i, name) for i, (name, _) in enumerate(scored[:3])),
            token(count, "<extra_id_0>", lstrip=True),
        ],
        "normalizer": {"type": "Precompiled", "precompiled_charsmap": charsmap(REPLACED)},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, cut]},
        "post_processor": template((), (1,)),
        "decoder": cut,
        "model": {"type": "Unigram", "unk_id": 2, "vocab": [list(item) for item in scored]},
    }
    return content | changes


REPLACED = {"ﬁ": "fi", "é": "é", "Ａ": "a", "\t": " ", "\n": " ", "\r": " ", "½": "1⁄2"}
REPLACED |= {"\u00a0": " ", "\x01": "", "가": "ga"}


def charsmap(replaced):
    """A compiled table of replacements in SentencePiece's form, in base64.

    Every node of the trie has 256 places to itself, so that no two can meet; real tables pack them.
    """
    texts, nodes, values = b"", [{}], {}
    for old, new in replaced.items():
        node = 0
        for byte in old.encode():
            if byte not in nodes[node]:
                nodes[node][byte] = len(nodes)
                nodes.append({})
            node = nodes[node][byte]
        values[node] = len(texts)
        texts += new.encode() + b"\0"
    units = np.zeros(256 * (len(nodes) + 1), np.uint32)
    places = {0: 0}
    for node, children in enumerate(nodes):
        base = 256 * (node + 1)
        units[places[node]] |= (places[node] ^ base) << 10
        if node in values:
            units[places[node]] |= 1 << 8
            units[base] = 1 << 31 | values[node]
        for byte, child in children.items():
            places[child] = base ^ byte
            units[places[child]] = byte
    packed = units.astype("<u4").tobytes()
    return base64.b64encode(len(packed).to_bytes(4, "little") + packed + texts).decode()
