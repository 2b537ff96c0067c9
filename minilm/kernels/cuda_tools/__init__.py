"""What launches and compiles CUDA kernels, and the headers that several of them include."""
