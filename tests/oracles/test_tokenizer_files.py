"""Files of Hugging Face's tokenizers, read by them and by us: the same ids and texts."""

import json
import random
import unicodedata

import pytest

from minilm.data import corpus
from minilm.errors import InputError
from minilm.tokenizers import BPE, load, train_bpe
from tests import tokenizer_specimens as specimens
from tests.tokenizer_specimens import END, byte_level, template, token, write

pytestmark = pytest.mark.oracle

OPTIONS = ("single_word", "lstrip", "rstrip", "normalized")
TEXTS = ["<a>", "<a>b", "b<", "  ", "aaa", "ÉÉ", "x y", "<A>", "e\u0301", "\n", "__"]
BITS = ["a", "b", "the", " ", "  ", "\t", "\u3000", "é", "e\u0301", "_", "x", "1", "\u0301", "<"]
POSTS = [
    None,
    template((3,), (4, 5)),
    byte_level(),
    {"type": "BertProcessing", "sep": ["</s>", 2], "cls": ["<s>", 0]},
]
POSTS.append(
    {
        "type": "RobertaProcessing",
        "sep": ["</s>", 2],
        "cls": ["<s>", 0],
        "trim_offsets": True,
        "add_prefix_space": False,
    }
)
POSTS.append({"type": "Sequence", "processors": [POSTS[3], POSTS[1], POSTS[2]]})


def theirs_of(content):
    from tokenizers import Tokenizer

    return Tokenizer.from_str(json.dumps(content))


@pytest.mark.parametrize("seed", range(4))
def test_added_tokens_are_found_where_they_find_them(seed, tmp_path):
    luck = random.Random(seed)
    compared = 0
    for _ in range(100):
        names = luck.sample(TEXTS, luck.randint(1, 3))
        chosen = [{o: luck.random() < 0.3 for o in OPTIONS} for _ in names]
        added = [
            token(261 + i, name, **options, special=luck.random() < 0.5)
            for i, (name, options) in enumerate(zip(names, chosen, strict=True))
        ]
        content = specimens.bpe(
            added,
            pre_tokenizer=byte_level(prefix=luck.random() < 0.3),
            normalizer=luck.choice([None, {"type": "NFC"}, {"type": "NFD"}]),
            post_processor=luck.choice(POSTS),
        )
        theirs, ours = theirs_of(content), load(write(content, tmp_path))
        ours.save(tmp_path / "again.json")
        again = load(tmp_path / "again.json")
        for _ in range(10):
            text = "".join(luck.choice(names * 2 + BITS) for _ in range(luck.randint(0, 9)))
            try:
                ids = theirs.encode(text).ids
            except BaseException as error:  # noqa: BLE001  theirs panics where two overlap
                assert "bad split" in str(error)
                continue
            compared += 1
            assert ours.encode(text, allowed_special="all") == ids, (text, added)
            assert again.encode(text, allowed_special="all") == ids
            plain = theirs.encode(text, add_special_tokens=False).ids
            assert ours.encode(text, "all", add_special_tokens=False) == plain
    assert compared > 900


def test_which_characters_make_a_word_next_to_an_added_token(tmp_path):
    content = specimens.bpe([token(261, "<a>", single_word=True)])
    theirs, ours = theirs_of(content), load(write(content, tmp_path))
    points = [c for c in range(0x32400) if not 0xD800 <= c < 0xE000]
    for point in points[::3]:
        for text in (chr(point) + "<a>", "<a>" + chr(point)):
            found = 261 in theirs.encode(text).ids
            ours_found = 261 in ours.encode(text, allowed_special="all")
            assert found == ours_found or not chr(point).isprintable(), hex(point)


@pytest.mark.parametrize("behavior", ["Isolated", "Removed", "MergedWithNext", "Contiguous"])
@pytest.mark.parametrize("invert", [False, True])
def test_splits_that_cut_alike_are_read_and_others_refused(behavior, invert, tmp_path):
    cut = {"type": "Split", "pattern": {"Regex": specimens_regex("llama3")}}
    cut |= {"behavior": behavior, "invert": invert}
    steps = [cut, byte_level(use_regex=False)]
    content = specimens.bpe(pre_tokenizer={"type": "Sequence", "pretokenizers": steps})
    path = write(content, tmp_path)
    if behavior in ("Isolated", "Removed") and (behavior, invert) != ("Removed", False):
        theirs, ours = theirs_of(content), load(path)
        for text in ("the  theab\n\n the 123 4567", " \n", "ab", ""):
            assert ours.encode(text) == theirs.encode(text).ids
    else:
        with pytest.raises(InputError, match="cuts words in an unknown way"):
            load(path)


def specimens_regex(name):
    from minilm.tokenizers.saving import REGEX

    return REGEX[name]


@pytest.mark.parametrize("name", ["gpt2", "gpt4", "llama3", "qwen2", "o200k", "starcoder"])
def test_a_blank_before_everything_that_is_cut(name, tmp_path):
    """`add_prefix_space` behind a Split gives every word a blank, behind Digits every part."""
    small = train_bpe("the theme of the thesis 12, don't 3 " * 9, 268)
    tokens, special = [*small.tokens, None], {"<a>": 268}
    ours = BPE(tokens, small.merges, name, special, prefix_space=True)
    ours.save(tmp_path / "tokenizer.json")
    check_both(
        json.loads((tmp_path / "tokenizer.json").read_text()),
        ["the", " the", "12", " 3", "'s", " ", "\n", "\n\n", "<a>", "é", ",,", "don't", "A"],
        tmp_path,
    )


@pytest.mark.parametrize(
    ("first", "gap"), [(0, 0), (1, 0), (1, 1), (6, 2)], ids=lambda value: str(value)
)
def test_ids_with_gaps_are_read_back_as_they_are(first, gap, tmp_path):
    """As cl100k has them: 100256 is unused, <|endoftext|> 100257; p50k's stands amid its ranks."""
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    small = train_bpe("the theme of the thesis, " * 9, 262)
    ranks = {t: i + (i >= 256 + first) * gap for i, t in enumerate(small.tokens)}
    last = max(ranks.values())
    special = {END: 256 + first if gap else last + 1 + first, "<|fim|>": last + 20}
    if gap > 1:
        special["<|mid|>"] = 257 + first
    ours = BPE.from_ranks(ranks, "gpt4", special)
    path = tmp_path / "tokenizer.json"
    ours.save(path)
    theirs, fast = Tokenizer.from_file(str(path)), PreTrainedTokenizerFast(tokenizer_file=str(path))
    again = load(path)
    text = f"the thesis{END}of <|fim|> the{'<|mid|>' if gap > 1 else ''}"
    ids = ours.encode(text, allowed_special="all")
    assert set(special.values()) <= set(ids)
    assert theirs.encode(text).ids == fast(text)["input_ids"] == ids
    assert again.encode(text, allowed_special="all") == ids
    for name, number in special.items():
        assert theirs.token_to_id(name) == fast.convert_tokens_to_ids(name) == number
        assert again.special[name] == number
    assert theirs.decode(ids, skip_special_tokens=False) == fast.decode(ids) == text


def everything(luck, bits):
    docs = corpus("python-docs")
    if luck.random() < 0.3:
        start = luck.randrange(len(docs) - 300)
        return docs[start : start + luck.randrange(300)]
    if luck.random() < 0.4:
        points = [luck.randrange(1, 0x32000) for _ in range(luck.randrange(12))]
        return "".join(chr(c) for c in points if not 0xD800 <= c < 0xE000)
    return "".join(luck.choice(bits) for _ in range(luck.randrange(12)))


def check_both(content, bits, folder, seed=0, texts=250):
    """Ids and texts of random texts, of the file and of what we write in its place."""
    theirs, ours = theirs_of(content), load(write(content, folder))
    ours.save(folder / "ours.json")
    again, back = (
        load(folder / "ours.json"),
        theirs_of(json.loads((folder / "ours.json").read_text())),
    )
    luck = random.Random(seed)
    for _ in range(texts):
        text = everything(luck, bits)
        ids = theirs.encode(text).ids
        assert ours.encode(text, allowed_special="all") == ids, repr(text)
        assert again.encode(text, allowed_special="all") == back.encode(text).ids == ids
        some = [luck.randrange(ours.vocab_size) for _ in range(6)]
        for row in (ids, some):
            for skip in (True, False):
                wanted = theirs.decode(row, skip_special_tokens=skip)
                assert ours.decode(row, skip_special_tokens=skip) == wanted, row
                assert again.decode(row, skip_special_tokens=skip) == wanted


BERT_BITS = ["un", "affable", "the ", " ", "\n", "é", "e\u0301", "[MASK]", "[SEP]", "don't", "!"]
BERT_BITS += ["İ", "ΑΣ", "中", "x" * 101, "¡", "$", " . ", "\u00a0", "\u200b", "\x00", "\ufffd"]


@pytest.mark.parametrize("lower", [True, False])
@pytest.mark.parametrize("accents", [True, False, None])
def test_berts_file(lower, accents, tmp_path):
    normalizer = specimens.bert()["normalizer"] | {"lowercase": lower, "strip_accents": accents}
    check_both(specimens.bert(normalizer=normalizer), BERT_BITS, tmp_path)
    normalizer |= {"clean_text": False, "handle_chinese_chars": False}
    check_both(specimens.bert(normalizer=normalizer), BERT_BITS, tmp_path, seed=1)


@pytest.mark.parametrize("lower", [True, False])
def test_berts_offsets(lower, tmp_path):
    normalizer = specimens.bert()["normalizer"] | {"lowercase": lower}
    content = specimens.bert(normalizer=normalizer)
    added = token(70, "un", normalized=True, special=False, single_word=True)
    content["added_tokens"].append(added | {"id": content["model"]["vocab"]["un"]})
    theirs, ours = theirs_of(content), load(write(content, tmp_path))
    luck, compared = random.Random(0), 0
    for _ in range(400):
        text = everything(luck, BERT_BITS)
        wanted = theirs.encode(text, add_special_tokens=False)
        try:
            got = ours.encode_with_offsets(text, "all")
        except InputError as error:  # marks that are put in another order
            assert "is normalized across its characters" in str(error)
            continue
        compared += 1
        assert got == (wanted.ids, wanted.offsets), repr(text)
    assert compared > 380


def test_bert_on_every_code_point(tmp_path):
    content = specimens.bert()
    theirs, ours = theirs_of(content), load(write(content, tmp_path))
    points = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
    for start in range(0, len(points), 4096):
        text = "".join(f"a{chr(c)}b " for c in points[start : start + 4096])
        assert ours.encode(text) == theirs.encode(text).ids, hex(points[start])


T5_BITS = ["a", "the", " ", "  ", "\n", "\r\n", "é", "e\u0301", "\u0301", "½", "½\u0301", "</s>"]
T5_BITS += [
    "<extra_id_0>",
    "Ａ",
    "ﬁ",
    "▁",
    "\u200d",
    "\x01",
    "ก\u0e33",
    "क\u0903",
    "🇩🇪",
    "가",
    "<unk>",
]
MARKED = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": True}
BLANKS = {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "▁"}
STRIP = {"type": "Strip", "strip_left": False, "strip_right": True}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"pre_tokenizer": MARKED},
        {"pre_tokenizer": MARKED | {"prepend_scheme": "never", "split": False}},
        {"pre_tokenizer": MARKED, "decoder": MARKED | {"prepend_scheme": "never"}},
        {"normalizer": None, "post_processor": None, "decoder": None},
        {
            "normalizer": {
                "type": "Sequence",
                "normalizers": [specimens.t5()["normalizer"], STRIP, BLANKS],
            }
        },
        {
            "normalizer": {
                "type": "Sequence",
                "normalizers": [
                    {"type": "Nmt"},
                    {"type": "NFKD"},
                    {"type": "StripAccents"},
                    {"type": "Lowercase"},
                    {"type": "Prepend", "prepend": "x"},
                    {"type": "Replace", "pattern": {"String": "b"}, "content": "th"},
                ],
            }
        },
    ],
    ids=["t5", "first", "whole", "kept", "bare", "mt5", "others"],
)
def test_t5s_file(changes, tmp_path):
    check_both(specimens.t5(**changes), T5_BITS, tmp_path)


def test_clusters_are_those_of_unicode():
    """What the table of replacements is asked about, of fewer than 6 bytes."""
    import regex

    from minilm.tokenizers.charsmap import _clusters

    luck = random.Random(0)
    marks = [
        "\u0301",
        "\u0e33",
        "\u0903",
        "\u200d",
        "\u0600",
        "\n",
        "\r",
        "\x01",
        "\u102b",
        "e",
        "ก",
    ]
    for _ in range(20_000):
        parts = [luck.choice(marks) if luck.random() < 0.8 else chr(luck.randrange(0x3000))]
        text = "".join(luck.choice(marks + parts) for _ in range(luck.randrange(8)))
        if any(unicodedata.category(c) == "Cn" for c in text):
            continue
        ours = [c for c in _clusters().findall(text) if c]
        theirs = regex.findall(r"\X", text)
        assert "".join(ours) == text
        assert [c for c in theirs if len(c.encode()) < 6 and c not in ours] == []


FALLBACK = [[f"<0x{b:02X}>", -9.0] for b in range(256)]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"pre_tokenizer": MARKED},
        {"pre_tokenizer": MARKED | {"prepend_scheme": "always"}},
        {"pre_tokenizer": MARKED | {"prepend_scheme": "never"}},
        {"pre_tokenizer": MARKED | {"prepend_scheme": "always", "split": False}},
        {"pre_tokenizer": None},
        {"normalizer": None},
        {"normalizer": {"type": "NFKD"}},
        {"fallback": True},
    ],
    ids=str,
)
def test_t5s_offsets(changes, tmp_path):
    changes = dict(changes)
    content = specimens.t5()
    if changes.pop("fallback", False):
        vocab = content["model"]["vocab"] + FALLBACK
        content["model"] = content["model"] | {"vocab": vocab, "byte_fallback": True}
        content["added_tokens"][-1]["id"] = len(vocab)
    content |= changes
    theirs, ours = theirs_of(content), load(write(content, tmp_path))
    luck, compared = random.Random(0), 0
    for _ in range(300):
        # Behind a character that is replaced by nothing theirs are one too small.
        text = everything(luck, T5_BITS).replace("\x01", "")
        wanted = theirs.encode(text, add_special_tokens=False)
        try:
            got = ours.encode_with_offsets(text, "all")
        except InputError as error:
            assert "is normalized across its characters" in str(error)
            continue
        compared += 1
        assert got == (wanted.ids, wanted.offsets), repr(text)
    assert compared > 200


def _families():
    """What transformers writes for each of its tokenizers, from the small vocabularies."""
    import transformers as hf

    letters = dict(specimens.bpe()["model"]["vocab"])
    merges = [tuple(pair) for pair in specimens.MERGES]
    pieces = specimens.bert()["model"]["vocab"]
    scored = [tuple(item) for item in specimens.t5()["model"]["vocab"]]

    def more(vocab, *names):
        return vocab | {name: len(vocab) + i for i, name in enumerate(names)}

    gpt2 = {"vocab": more(letters, END), "merges": merges}
    marks = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
    return {
        "bert": lambda: hf.BertTokenizer(vocab=pieces),
        "cased": lambda: hf.BertTokenizer(vocab=pieces, do_lower_case=False),
        "electra": lambda: hf.ElectraTokenizer(vocab=pieces),
        "mpnet": lambda: hf.MPNetTokenizer(vocab=more(pieces, "<s>", "</s>", "<pad>", "<mask>")),
        "t5": lambda: hf.T5Tokenizer(vocab=scored, extra_ids=2),
        "xlm-r": lambda: hf.XLMRobertaTokenizer(vocab=scored),
        "gpt2": lambda: hf.GPT2Tokenizer(**gpt2),
        "gpt2 prefix": lambda: hf.GPT2Tokenizer(**gpt2, add_prefix_space=True),
        "codegen": lambda: hf.CodeGenTokenizer(**gpt2),
        "qwen2": lambda: hf.Qwen2Tokenizer(**gpt2),
        "roberta": lambda: hf.RobertaTokenizer(vocab=more(letters, *marks), merges=merges),
    }


@pytest.mark.parametrize(
    "name",
    ["bert", "cased", "electra", "mpnet", "t5", "xlm-r", "gpt2", "gpt2 prefix", "codegen"]
    + ["qwen2", "roberta"],
)
def test_files_that_transformers_writes(name, tmp_path):
    theirs = _families()[name]()
    theirs.save_pretrained(tmp_path)
    ours = load(tmp_path)
    luck = random.Random(0)
    bits = BERT_BITS + T5_BITS + list(theirs.all_special_tokens)
    for _ in range(150):
        text = everything(luck, bits)
        ids = theirs(text)["input_ids"]
        assert ours.encode(text, allowed_special="all") == ids, repr(text)
        plain = theirs.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        assert ours.decode(ids, skip_special_tokens=True) == plain
