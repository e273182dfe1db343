"""A tiny VIPSeg dataset in the downloaded layout."""

import json
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

HEIGHT, WIDTH, LENGTH = 24, 40, 4
CATEGORIES = [
    {'id': 0, 'name': 'sky', 'isthing': 0},
    {'id': 1, 'name': 'grass', 'isthing': 0},
    {'id': 2, 'name': 'dog', 'isthing': 1},
]
SKY, GRASS, DOG, OTHER_DOG = 1, 2, 300, 301  # values of panomasks


def values(frame: int) -> np.ndarray:
    """Return a map (H, W): sky, grass, two moving dogs, a column of void and one of label 200."""
    ids = np.full((HEIGHT, WIDTH), SKY, np.uint16)
    ids[12:] = GRASS
    ids[4:10, 3 + frame : 11 + frame] = DOG
    ids[14:22, 20 - frame : 28 - frame] = OTHER_DOG
    ids[:, -2:] = 0, 200
    return ids


def write_downloaded(root: Path) -> Path:
    """Write two videos, a and b, in imgs and panomasks."""
    for video in ('a', 'b'):
        for folder in ('imgs', 'panomasks'):
            (root / folder / video).mkdir(parents=True)
        for frame in range(LENGTH):
            image = np.full((HEIGHT, WIDTH, 3), 60 * frame, np.uint8)
            cv2.imwrite(str(root / 'imgs' / video / f'{frame:05d}.jpg'), image)
            mask = Image.fromarray(values(frame))
            mask.save(root / 'panomasks' / video / f'{frame:05d}.png')
    (root / 'train.txt').write_text('a\nb\n')
    (root / 'panoVIPSeg_categories.json').write_text(json.dumps(CATEGORIES))
    return root
