"""Opening whatever gives frames: a video file, a folder of images or a camera."""

from pathlib import Path

from axialvs.inference.camera import CameraReader
from axialvs.inference.frames import Frame, VideoReader, VideoReadError
from axialvs.inference.image_folder import ImageFolderReader
from axialvs.inference.video_file import VideoFileReader

__all__ = ['Frame', 'VideoReadError', 'VideoReader', 'open_video']


def open_video(
    source: str | Path | int | VideoReader, frame_rate: float | None = None
) -> VideoReader:
    """Open a source of frames.

    Args:
        source: A video file, a folder of images, or the number of a camera (an int, or digits
            where no file or folder has that name). A reader of one's own is taken as it is.
        frame_rate: Frames a second of a folder of images, for its timestamps. Files and cameras
            have their own.

    Raises:
        VideoReadError: If the source does not exist or gives no frames.
    """
    if isinstance(source, VideoReader):
        return source
    if isinstance(source, int):
        return CameraReader(source)
    path = Path(source)
    if path.is_dir():
        return ImageFolderReader(path, frame_rate)
    if not path.exists() and str(source).isdecimal():
        return CameraReader(int(source))
    return VideoFileReader(path)
