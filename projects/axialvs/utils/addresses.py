"""Video URLs."""

import re
from pathlib import Path


def is_url(source: str | Path) -> bool:
    """Return whether a source is a URL such as `rtsp://camera/stream`."""
    return isinstance(source, str) and '://' in source


def display_name(source: str | Path) -> str:
    """Return a source without the credentials of a URL, for messages and files."""
    return re.sub(r'://[^/\s]*@', '://', str(source))
