"""Running a trained model: key/value caches, sampling, serving."""

from minilm.inference.cache import ContiguousCache, RollingCache

__all__ = ["ContiguousCache", "RollingCache"]
