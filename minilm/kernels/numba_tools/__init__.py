"""What compiled CPU kernels share: the decorator, SIMD operations, register tiles, panels."""
