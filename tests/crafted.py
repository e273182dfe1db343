"""The payload of a malicious checkpoint."""

import os
from pathlib import Path


class MakesFolder:
    """Create a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)
