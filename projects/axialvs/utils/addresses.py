"""Addresses of videos."""

import re
from pathlib import Path


def is_url(source: str | Path) -> bool:
    """Whether a source is an address such as `rtsp://camera/stream`."""
    return isinstance(source, str) and '://' in source


def display_name(source: str | Path) -> str:
    """The source for messages and files: an address without its user and password."""
    return re.sub(r'://[^/\s]*@', '://', str(source))
