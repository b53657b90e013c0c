"""`thumbnail`: lines in a few pixels, for TensorBoard's Projector."""

import numpy as np

# Pixels of a thumbnail's side; the Projector takes a sprite of up to 8192.
SIDE = 32


def thumbnail(lines, side=SIDE):
    """Draws lines in black on white, as large as they fit.

    Args:
        lines: List of float arrays `(points, 2)` of x and, downward, y; NaN breaks a line.
        side: Pixels.

    Returns:
        uint8 array `(side, side)`.
    """
    picture = np.full([side, side], 255, np.uint8)
    points = np.concatenate([np.reshape(line, [-1, 2]) for line in lines])
    points = points[np.isfinite(points).all(axis=1)]
    if not len(points):
        return picture
    low, high = points.min(axis=0), points.max(axis=0)
    scale = (side - 1) / max(np.max(high - low), 1e-9)
    margin = (side - 1 - (high - low) * scale) / 2
    for line in lines:
        pixels = (np.asarray(line, np.float64) - low) * scale + margin
        # So many places on each stretch that no pixel is left out.
        between = np.linspace(0, 1, 2 * side)[:, None, None]
        stretches = pixels[:-1] + between * (pixels[1:] - pixels[:-1])
        places = np.concatenate([pixels, stretches.reshape(-1, 2)])
        x, y = np.round(places[np.isfinite(places).all(axis=1)]).astype(int).T
        picture[y, x] = 0
    return picture
