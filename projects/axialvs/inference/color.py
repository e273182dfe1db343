"""Colors of decoded video: HDR and wide gamut to 8-bit sRGB-like, transparency, interlacing."""

import functools

import av
import numpy as np
from av.video.reformatter import ColorPrimaries, ColorTrc

from axialvs.inference.image_files import over_black

_PQ, _HLG = int(ColorTrc.SMPTE2084), int(ColorTrc.ARIB_STD_B67)
_TRANSFERS = {_PQ: 'PQ', _HLG: 'HLG'}

# BT.2408: nominal peak of HLG and the level of diffuse white, cd/m^2.
_HLG_PEAK = 1000.0
_DIFFUSE_WHITE = 203.0
_HLG_GAMMA = 1.2
# Tones below this fraction of diffuse white are kept; highlights are compressed (BT.2390).
_KNEE = 0.75
_SDR_GAMMA = 2.4
_CODES = 2**16
_BT2020_LUMA = np.array([0.2627, 0.6780, 0.0593], np.float32)
# Linear BT.2020 to BT.709 (BT.2087).
_BT2020_TO_BT709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]],
    np.float32,
)


def describe_conversion(frame: av.VideoFrame) -> str | None:
    """Describe the color conversion of a frame in one line, or return None."""
    if frame.color_trc in _TRANSFERS:
        return f'HDR ({_TRANSFERS[frame.color_trc]}) is tone-mapped to standard dynamic range'
    if frame.color_primaries == ColorPrimaries.BT2020:
        return 'BT.2020 colors are converted to BT.709'
    return None


def has_alpha(frame: av.VideoFrame) -> bool:
    """Return whether a frame has an alpha channel."""
    return frame.format.name.startswith(('yuva', 'rgba', 'bgra', 'argb', 'abgr', 'gbrap', 'ya'))


def to_rgb(frame: av.VideoFrame) -> np.ndarray:
    """Convert a decoded frame to (H, W, 3) uint8 RGB, as a player shows it."""
    if frame.color_trc in _TRANSFERS or frame.color_primaries == ColorPrimaries.BT2020:
        return _tone_map(frame.to_ndarray(format='rgb48le'), frame.color_trc)
    if has_alpha(frame):
        rgba = frame.to_ndarray(format='rgba')
        return over_black(rgba[..., :3], rgba[..., 3])
    return frame.to_ndarray(format='rgb24')


def deinterlace(image: np.ndarray) -> np.ndarray:
    """Interpolate the second field of an interlaced image (H, W, 3) uint8 from the first."""
    out = image.copy()
    above, below = image[0:-2:2].astype(np.uint16), image[2::2].astype(np.uint16)
    out[1:-1:2] = (above + below + 1) // 2
    if len(image) > 1 and len(image) % 2 == 0:
        out[-1] = image[-2]
    return out


def _tone_map(image: np.ndarray, transfer: int) -> np.ndarray:
    """Convert BT.2020 code values (H, W, 3) uint16 to SDR BT.709 uint8."""
    light = _linear_table(transfer)[image]  # 1 is diffuse white
    if transfer == _HLG:  # the display's system gamma applies to luminance
        luma = light @ _BT2020_LUMA
        scene_white = _DIFFUSE_WHITE / _HLG_PEAK
        gain = np.maximum(luma, 1e-6) ** (_HLG_GAMMA - 1) / scene_white
        light = light * gain[..., None]
    light = light @ _BT2020_TO_BT709.T
    if transfer in _TRANSFERS:
        peak = light.max(-1, keepdims=True)
        light = light * (_compress(peak) / np.maximum(peak, 1e-6))
    codes = (light.clip(0, 1) * (_CODES - 1) + 0.5).astype(np.uint16)
    return _display_table()[codes]


def _compress(light: np.ndarray) -> np.ndarray:
    """Roll off highlights: identity up to the knee, approaching 1 above."""
    excess = np.maximum(light - _KNEE, 0) / (1 - _KNEE)
    return np.where(light > _KNEE, _KNEE + (1 - _KNEE) * (excess / (1 + excess)), light)


@functools.cache
def _linear_table(transfer: int) -> np.ndarray:
    """Map 16-bit code values to linear light; 1 is diffuse white, or the scene's peak for HLG."""
    code = np.linspace(0, 1, _CODES)
    if transfer == _PQ:  # SMPTE ST 2084
        m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
        root = code ** (1 / m2)
        light = (np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1)
        return (light * 10_000 / _DIFFUSE_WHITE).astype(np.float32)
    if transfer == _HLG:  # BT.2100
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        return np.where(code <= 0.5, code**2 / 3, (np.exp((code - c) / a) + b) / 12).astype(
            np.float32
        )
    return (code**_SDR_GAMMA).astype(np.float32)


@functools.cache
def _display_table() -> np.ndarray:
    """Map 16-bit linear light to 8-bit code values."""
    light = np.linspace(0, 1, _CODES)
    return np.rint(255 * light ** (1 / _SDR_GAMMA)).astype(np.uint8)
