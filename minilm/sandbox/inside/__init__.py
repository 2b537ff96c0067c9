"""What runs inside the grader's sandbox, beside the student's code.

These files are copied into the sandbox and use the standard library and NumPy only; a CUDA kernel
is launched by the emulator that lies beside them, in a worker that never saw a notebook. Nothing
here knows a test or an expected value: a student who reads or patches all of it learns nothing.
"""
