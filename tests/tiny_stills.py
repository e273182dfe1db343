"""A tiny COCO file of still images with one uniquely colored object each."""

import cv2
import numpy as np

from tiny_video_data import HEIGHT, WIDTH, counts_of, paint

PERSON, MOUSE, BUS, CAR = 1, 74, 6, 3
NAMES = {PERSON: 'person', CAR: 'car', BUS: 'bus', MOUSE: 'mouse'}
POLYGON = [20.0, 12.0, 44.0, 12.0, 44.0, 36.0, 20.0, 36.0]
BIG_ID = 900_100_052_016


def square() -> np.ndarray:
    """Return the mask (H, W) of the polygon."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return (y >= 12) & (y < 36) & (x >= 20) & (x < 44)


def stills_content(categories=(PERSON, CAR, MOUSE, PERSON)) -> dict:
    """Return one image per category, with ids from 10; the last also has a crowd."""
    content = {
        'images': [
            {'id': 10 + i, 'width': WIDTH, 'height': HEIGHT, 'file_name': f'{i}.png'}
            for i in range(len(categories))
        ],
        'categories': [{'id': i, 'name': name} for i, name in NAMES.items()],
        'annotations': [
            {
                'id': 0 if i == 0 else BIG_ID + i,
                'image_id': 10 + i,
                'category_id': category,
                'segmentation': [POLYGON],
                'iscrowd': 0,
            }
            for i, category in enumerate(categories)
        ],
    }
    corner = np.zeros((HEIGHT, WIDTH), bool)
    corner[:6, :6] = True
    crowd = {'id': 5, 'image_id': 9 + len(categories), 'category_id': PERSON, 'iscrowd': 1}
    content['annotations'].append({**crowd, 'segmentation': counts_of(corner)})
    return content


def write_stills(content: dict, folder) -> str:
    """Write the images with their object in red."""
    for image in content['images']:
        cv2.imwrite(str(folder / image['file_name']), paint({0: square()}))
    return str(folder)
