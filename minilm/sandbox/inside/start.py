"""Python's first file in the sandbox: finds the copied `inside` package and starts it."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.extend(sys.argv[1:])  # where NumPy lies
from inside import worker  # noqa: E402

worker.main()
os._exit(0)  # no thread and no exit handler of the student keeps the process alive
