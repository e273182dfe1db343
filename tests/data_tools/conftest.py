"""Fixtures of tiny video data sets."""

from dataset_fixtures import build, content, log, write_images, write_json  # noqa: F401
