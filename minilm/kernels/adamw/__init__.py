"""One AdamW step over flat arrays (Loshchilov and Hutter 2017, arXiv 1711.05101)."""
