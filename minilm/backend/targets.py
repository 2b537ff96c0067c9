"""The target that no loss counts; PyTorch has the same."""

IGNORE = -100
