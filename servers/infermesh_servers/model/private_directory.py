"""A directory of this process alone."""

import shutil
import tempfile
import weakref
from pathlib import Path


class PrivateDirectory:
    """A directory that nobody else can read, for as long as something refers to this object.

    It is removed then, or when the interpreter ends.
    """

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="infermesh-model-"))
        self._remove = weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)
