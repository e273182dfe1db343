"""Fixtures of tiny video data sets."""

from dataset_fixtures import _mmdet_scope, build, content, log, write_images, write_json  # noqa: F401
