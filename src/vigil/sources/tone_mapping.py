"""Tone-maps high dynamic range (HLG and PQ of phones) and wide gamut (BT.2020) to sRGB.

A white of 203 cd/m2, the reference white of BT.2408, becomes white; brighter light is compressed instead of clipped.
FFmpeg's own way (`scale` with an intent) takes seconds to set up for each file and clips; this takes 5 ms per sampled
frame.
"""

from functools import cache
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from vigil.frames import RGB

Light: TypeAlias = NDArray[np.float32]
"""Linear light; 1 is reference white."""

BT2020_PRIMARIES, BT2020_MATRIX, UNSPECIFIED = 9, 9, 2
PQ, HLG = 16, 18
SDR = 1
PLANES = "gbrp10le"
CODES = 1024

PAPER_CD_M2 = 203.0
HLG_PEAK_CD_M2 = 1000.0
HLG_GAMMA = 1.2
KNEE = 0.8
"""From here up to the peak, light is compressed."""
PEAK = HLG_PEAK_CD_M2 / PAPER_CD_M2

LUMA = np.array([0.2627, 0.6780, 0.0593], np.float32)
TO_BT709 = np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32)


def transfer_curve(frame: Any) -> int | None:
    """Returns the transfer curve of an `av.VideoFrame` whose colours must be converted; None for ordinary ones."""
    curve = getattr(frame, "color_trc", UNSPECIFIED)
    if curve in (PQ, HLG):
        return int(curve)
    is_wide = getattr(frame, "color_primaries", UNSPECIFIED) == BT2020_PRIMARIES or frame.colorspace == BT2020_MATRIX
    return SDR if is_wide else None


def is_high_range(codec_context: Any) -> bool:
    """Returns whether a stream declares a high dynamic range."""
    return getattr(codec_context, "color_trc", UNSPECIFIED) in (PQ, HLG)


def tone_map(frame: Any, curve: int) -> RGB:
    """Converts a full-range BT.2020 frame in format `PLANES` to an `(H, W, 3) uint8 RGB` image in sRGB."""
    green, blue, red = (
        np.frombuffer(plane, np.uint16).reshape(plane.height, plane.line_size // 2)[:, : plane.width]
        for plane in frame.planes
    )
    light = _light(curve)[np.minimum(cv2.merge([red, green, blue]), CODES - 1)]
    if curve == HLG:
        light = _shown(light)
    return _encoded(_rolled_off(np.maximum(cv2.transform(light, TO_BT709), 0)))


def _shown(scene: Light) -> Light:
    """Applies the HLG system gamma: converts scene light to display light."""
    luma = cv2.transform(scene, LUMA[np.newaxis])
    brightened: Light = scene * np.power(luma, HLG_GAMMA - 1)[..., np.newaxis] * np.float32(PEAK)
    return brightened


def _rolled_off(light: Light) -> Light:
    """Compresses light above the knee, all three channels by the same factor, so that hues do not change."""
    brightest = light.max(axis=2)
    high = brightest > KNEE
    if not high.any():
        return light
    over, most = (brightest[high] - KNEE) / (1 - KNEE), (PEAK - KNEE) / (1 - KNEE)
    rolled = KNEE + (1 - KNEE) * over * (1 + over / most**2) / (1 + over)
    light[high] *= (np.minimum(rolled, 1) / brightest[high])[:, np.newaxis]
    return light


def _encoded(light: Light) -> RGB:
    picture: RGB = _srgb()[(np.sqrt(np.minimum(light, 1)) * (CODES * 4 - 1)).astype(np.uint16)]
    return picture


@cache
def _light(curve: int) -> Light:
    """Returns the linear light for each code of a curve; scene light for HLG."""
    code = np.arange(CODES) / (CODES - 1)
    return CURVES.get(curve, _srgb_light)(code).astype(np.float32)


def _pq_light(code: NDArray[np.float64]) -> NDArray[np.float64]:
    """SMPTE ST 2084: codes stand for absolute luminance, at most 10,000 cd/m2."""
    power = code ** (1 / 78.84375)
    share = np.maximum(power - 0.8359375, 0) / (18.8515625 - 18.6875 * power)
    candelas: NDArray[np.float64] = 10_000 * share ** (1 / 0.1593017578125)
    return candelas / PAPER_CD_M2


def _hlg_light(code: NDArray[np.float64]) -> NDArray[np.float64]:
    """ARIB STD-B67."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(code <= 0.5, code**2 / 3, (np.exp((code - c) / a) + b) / 12)


def _srgb_light(code: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)


CURVES = {PQ: _pq_light, HLG: _hlg_light}


@cache
def _srgb() -> NDArray[np.uint8]:
    """Returns sRGB levels, indexed by the square root of light, which spaces them roughly as the eye does."""
    light = (np.arange(CODES * 4) / (CODES * 4 - 1)) ** 2
    level = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.round(level * 255).astype(np.uint8)
