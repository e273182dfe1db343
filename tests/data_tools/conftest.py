"""Fixtures of tiny video datasets."""

from dataset_fixtures import build, content, log, write_images, write_json  # noqa: F401
