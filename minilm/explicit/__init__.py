"""Models that are counted, not trained, and what else the talk on precision models needs.

- `cipher`: bit-ciphers, vectors for tokens by rank
- `contexts`: block, radius and document, read in pieces
- `counts`: co-occurrences, in one pass over a stream, additive over shards
- `solution`: a softmax layer out of co-occurrences: naive Bayes
- `attention`: SAFFU's weights, compared or looked up
- `saffu`: a language model of it, on the tape
- `warm`: its layers solved from the bottom up
- `ctc`: the probability of a text when nobody knows which frame says what
"""

from minilm.explicit.attention import attend_cached, compare_table, saffu_attend
from minilm.explicit.cipher import bit_cipher, decipher, neighbour_vectors
from minilm.explicit.contexts import ContextReader, context_features
from minilm.explicit.counts import Counts, cooc, count_stream
from minilm.explicit.ctc import collapse, ctc_backward, ctc_forward, ctc_loss, greedy_text
from minilm.explicit.saffu import Bag, Saffu, SaffuModel
from minilm.explicit.solution import average_norm, explicit_solution
from minilm.explicit.warm import warm_start

__all__ = [
    "Bag",
    "ContextReader",
    "Counts",
    "Saffu",
    "SaffuModel",
    "attend_cached",
    "average_norm",
    "bit_cipher",
    "collapse",
    "compare_table",
    "context_features",
    "cooc",
    "count_stream",
    "ctc_backward",
    "ctc_forward",
    "ctc_loss",
    "decipher",
    "explicit_solution",
    "greedy_text",
    "neighbour_vectors",
    "saffu_attend",
    "warm_start",
]
