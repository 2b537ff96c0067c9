"""The kernel that `minilm lab` starts: IPython's, without its version.

JupyterLab writes what a kernel says of its language into the notebook that is opened, which is
then waiting to be saved although nobody has touched it. This kernel says what is written there
already (see `course.build.notebook`).
"""

from ipykernel.ipkernel import IPythonKernel


class CourseKernel(IPythonKernel):
    """IPython's kernel, which names its language and no more."""

    language_info = {"name": "python"}
