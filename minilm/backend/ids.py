"""Two numbers about token ids that every floor agrees on."""

IGNORE = -100  # a target that no loss counts, as in PyTorch and Hugging Face
MOST_IDS = (1 << 21) - 1  # ids of a vocabulary: a pair of them and its rank fit into 63 bits
