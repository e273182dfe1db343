"""Fixtures of the dataset tests."""

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import pytest
from mmengine.logging import MMLogger

from axialvs.datasets.youtube_vis import YouTubeVISDataset  # also registers transforms and samplers
from tiny_video_data import (
    COLORS,
    FLIP,
    TEST_PIPELINE,
    make_content,
    object_mask,
    paint,
    train_pipeline,
)


class LogText(logging.Handler):
    """A log handler that keeps all messages."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())

    def text(self) -> str:
        """Return all messages so far."""
        return '\n'.join(self.messages)


@pytest.fixture
def log() -> Iterator[LogText]:
    """Capture the messages of mmengine's logger, which does not propagate to pytest's."""
    handler = LogText()
    logger = MMLogger.get_current_instance()
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


@pytest.fixture
def content() -> dict:
    """The JSON of a valid dataset of two videos."""
    return make_content()


@pytest.fixture
def write_json(tmp_path: Path) -> Callable[[dict], str]:
    """Write an annotation file and return its path."""

    def write(content: dict, name: str = 'instances.json') -> str:
        path = tmp_path / name
        path.write_text(json.dumps(content))
        return str(path)

    return write


@pytest.fixture
def write_images(tmp_path: Path) -> Callable[[dict], str]:
    """Paint the frames of all videos and return the folder."""

    def write(content: dict) -> str:
        for video in content['videos']:
            for frame, file_name in enumerate(video['file_names']):
                path = tmp_path / 'frames' / file_name
                path.parent.mkdir(parents=True, exist_ok=True)
                masks = {identifier: object_mask(identifier, frame) for identifier in COLORS}
                cv2.imwrite(str(path), paint(masks))
        return str(tmp_path / 'frames')

    return write


@pytest.fixture
def build(write_json, write_images):
    """Build a dataset on the given content."""

    def make(content, **kwargs):
        kwargs.setdefault('clip_length', 3)
        test = kwargs.get('test_mode', False)
        kwargs.setdefault('pipeline', TEST_PIPELINE if test else train_pipeline(FLIP))
        if 'data_prefix' not in kwargs:
            kwargs['data_prefix'] = {'img_path': write_images(content)}
        return YouTubeVISDataset(write_json(content), **kwargs)

    return make
