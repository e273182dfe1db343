"""Fixtures of the data set tests."""

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest
from mmengine.registry import init_default_scope
from tiny_video_data import COLOURS, make_content, object_mask, paint

import axialvs
import axialvs.datasets  # noqa: F401 - registers the data set, transforms and samplers


@pytest.fixture(autouse=True)
def _mmdet_scope():
    init_default_scope('mmdet')


@pytest.fixture
def content() -> dict:
    """The JSON of a valid data set of two videos."""
    return make_content()


@pytest.fixture
def write_json(tmp_path: Path) -> Callable[[dict], str]:
    """Writes an annotation file and gives its path."""

    def write(content: dict, name: str = 'instances.json') -> str:
        path = tmp_path / name
        path.write_text(json.dumps(content))
        return str(path)

    return write


@pytest.fixture
def write_images(tmp_path: Path) -> Callable[[dict], str]:
    """Paints the frames of all videos and gives the folder."""

    def write(content: dict) -> str:
        for video in content['videos']:
            for frame, file_name in enumerate(video['file_names']):
                path = tmp_path / 'frames' / file_name
                path.parent.mkdir(parents=True, exist_ok=True)
                masks = {identifier: object_mask(identifier, frame) for identifier in COLOURS}
                cv2.imwrite(str(path), paint(masks))
        return str(tmp_path / 'frames')

    return write
