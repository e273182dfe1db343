"""Prediction for folders of frames with all frames in memory."""

from pathlib import Path

import cv2
import numpy as np
from torch import Tensor

from axialvs.inference.frame_preparation import FramePreparation
from axialvs.structures import ImageShapes, Track


def images_of(folder: Path) -> list[np.ndarray]:
    return [cv2.imread(str(file))[..., ::-1] for file in sorted(folder.iterdir())]


def prepared_video(model, folder: Path) -> tuple[Tensor, ImageShapes]:
    return FramePreparation(model)(images_of(folder))


def tracks_at_once(model, folder: Path) -> list[Track]:
    """Return the tracks of a prediction by `predict_video`."""
    frames, shapes = prepared_video(model, folder)
    video = model.predict_video(frames)
    return model.finisher.finish(
        video.class_logits, lambda queries: iter([video.mask_logits[queries]]), shapes
    )
