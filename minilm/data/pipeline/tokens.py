"""The last stages: a vocabulary learnt from the training text, and the ids of everything."""

import numpy as np

from minilm.data.corpora import encode_documents
from minilm.data.pipeline.documents import END, load_tokenizer
from minilm.data.pipeline.settings import Settings
from minilm.data.pipeline.shuffling import HELD_OUT, TRAIN, buckets
from minilm.data.pipeline.store import Store, read_lines
from minilm.data.pipeline.tally import Tally
from minilm.data.tokens import TokenFile

SAMPLE = 50_000_000  # characters from which the vocabulary is learnt; the order is a fair draw
LENGTHS = (0, 30, 100, 300, 1000, 3000, 10_000, 30_000, 100_000, 10**12)  # tokens
TOKENIZER = "tokenizer.json"


def learn_vocabulary(store: Store, settings: Settings) -> None:
    """Learn byte-pair tokens from the first training documents."""
    from minilm.tokenizers import train_bpe

    texts, total = [], 0
    for bucket in buckets(store):
        if bucket.startswith(TRAIN) and total < SAMPLE:
            for row in read_lines(store.root / f"{bucket}.jsonl"):
                texts.append(row["text"])
                total += len(row["text"])
    size = max(257, min(settings.vocabulary, 257 + total // 64))  # more would be learnt by heart
    bpe = train_bpe(texts, size, special=[END], fewer=True)
    bpe.save(store.root / TOKENIZER)
    store.write_json("vocabulary", "done", {"tokens": bpe.vocab_size, "characters": total})


def tokenise_bucket(root: str, settings: Settings, bucket: str) -> None:
    """Write the ids of a bucket's documents, each followed by the end of a document."""
    store, tally = Store(root), Tally()
    tokenizer = load_tokenizer(store.root / TOKENIZER)
    parts = []
    for row in read_lines(store.root / f"{bucket}.jsonl"):
        parts.append(encode_documents(tokenizer, [row["text"]], END))
        tally.bar("tokens", len(parts[-1]), LENGTHS)
    ids = np.concatenate([np.zeros(0, np.int32), *parts])
    tally.add(f"{bucket.split('-')[0]} tokens", len(ids))
    store.write_array("tokenise", bucket, ids)
    store.write_json("tokenise", bucket, tally.to_dict())


def join_tokens(store: Store, settings: Settings) -> None:
    """Write the two token files that training reads."""
    vocabulary = store.read_json("vocabulary", "done")["tokens"]
    for side in (TRAIN, HELD_OUT):
        own = [bucket for bucket in buckets(store) if bucket.startswith(side)]
        ids = (store.read_array("tokenise", bucket, mapped=True) for bucket in own)
        TokenFile.write(store.root / f"{side}.tokens", ids, vocabulary)
    store.write_json("tokens", "done", {})
