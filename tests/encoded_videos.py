"""Small videos in any codec and pixel format."""

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace


def encode(path, images, codec='libx264', pixel_format='yuv420p', options=None, **context):
    """Encode frames to a video; further attributes are set on the encoder."""
    with av.open(str(path), 'w') as container:
        stream = container.add_stream(codec, rate=10, options=options or {'crf': '1'})
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = pixel_format
        for name, value in context.items():
            setattr(stream.codec_context, name, value)
        for image in images:
            layout = {3: 'rgb24', 4: 'rgba'}[image.shape[2]]
            if image.dtype == np.uint16:
                layout = 'rgb48le'
            frame = av.VideoFrame.from_ndarray(image, format=layout)
            frame = frame.reformat(
                format=pixel_format,
                dst_colorspace=context.get('colorspace', Colorspace.ITU709),
                dst_color_range=ColorRange.MPEG,
            )
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path
