"""The selective scan: a linear recurrence whose rates depend on the input (arXiv 2312.00752)."""
