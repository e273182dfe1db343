"""Measurements of `benchmark.py evaluation`: AP, compared with mmdet's evaluator, VPQ and STQ."""

import contextlib
import io
import json
import tempfile
import time
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmdet.evaluation.functional import YTVIS, YTVISeval
from pycocotools import mask as coco_mask

from axialvs.datasets.annotations.panoptic import read_ground_truth
from axialvs.datasets.annotations.youtube_vis import read_annotations
from axialvs.evaluation.panoptic_files import read_predictions
from axialvs.evaluation.panoptic_scores import evaluate_panoptic
from axialvs.evaluation.results import read_results
from axialvs.evaluation.youtube_vis import evaluate_tracks
from axialvs.utils.rle import encode_mask

AP_NAMES = ('AP', 'AP50', 'AP75', 'APs', 'APm', 'APl', 'AR1', 'AR10', 'AR100', 'ARs', 'ARm', 'ARl')


def write_segmentations(folder: Path, args: Namespace) -> None:
    """Write ground truth and predictions in the layouts of YouTube-VIS and VIPSeg.

    Objects are moving ellipses; predictions lag behind, and one in ten has a wrong class.
    """
    rng = np.random.default_rng(0)
    height, width = args.size
    categories = [{'id': i, 'name': f'class {i}', 'isthing': 1} for i in range(1, 6)]
    videos: list[dict] = []
    sides: dict[str, tuple[list, list]] = {'gt': ([], []), 'pred': ([], [])}
    for video in range(1, args.videos + 1):
        names = [f'{i:05d}' for i in range(args.frames)]
        files = [f'{video}/{name}.jpg' for name in names]
        videos.append(dict(id=video, file_names=files, length=args.frames))
        videos[-1] |= dict(height=height, width=width)
        places, speeds = rng.random((args.objects, 2)), rng.normal(0, 0.01, (args.objects, 2))
        radii = rng.uniform(0.03, 0.12, (args.objects, 2))
        classes = rng.integers(1, 6, args.objects)
        for side, (tracks, panoptic) in sides.items():
            lag = 0.0 if side == 'gt' else 0.01
            (folder / side / str(video)).mkdir(parents=True)
            of_side = np.where(rng.random(args.objects) < 10 * lag, classes % 5 + 1, classes)
            frames, rles = [], [[] for _ in classes]
            for t, name in enumerate(names):
                ids = np.zeros((height, width, 3), np.uint8)
                for i, (place, speed, radius) in enumerate(zip(places, speeds, radii, strict=True)):
                    center = ((place + t * speed) % 1 - lag) * (width, height)
                    axes = radius * (width, height)
                    integers = [tuple(int(v) for v in x) for x in (center, axes)]
                    cv2.ellipse(ids, *integers, 0, 0, 360, (0, 0, i + 1), -1)
                cv2.imwrite(str(folder / side / str(video) / f'{name}.png'), ids)
                masks = [ids[..., 2] == i + 1 for i in range(args.objects)]
                for rle, mask in zip(rles, masks, strict=True):
                    rle.append(encode_mask(mask) if mask.any() else None)
                seen = [i for i, mask in enumerate(masks) if mask.any()]
                segments = [{'id': i + 1, 'category_id': int(of_side[i])} for i in seen]
                frames.append({'file_name': f'{name}.png', 'segments_info': segments})
            panoptic.append({'video_id': str(video), 'annotations': frames})
            for label, masks in zip(of_side, rles, strict=True):
                track = dict(video_id=video, category_id=int(label), segmentations=masks)
                areas = [mask and int(coco_mask.area(mask)) for mask in masks]
                track |= dict(id=len(tracks) + 1, iscrowd=0, areas=areas)
                tracks.append({**track, 'score': float(rng.random())})
    for side, (tracks, panoptic) in sides.items():
        both = {'categories': categories, 'annotations': panoptic}
        (folder / f'{side}_panoptic.json').write_text(json.dumps(both))
        content = dict(videos=videos, categories=categories, annotations=tracks)
        (folder / f'{side}.json').write_text(json.dumps(content if side == 'gt' else tracks))


def evaluation_rows(args: Namespace) -> list[dict]:
    """Measure the seconds of AP, by ours and mmdet's evaluator, and of VPQ and STQ."""
    seconds: dict[str, list[float]] = {}

    def timed(name: str, call: Callable, *arguments: Any) -> Any:
        start = time.perf_counter()
        value = call(*arguments)
        seconds.setdefault(name, []).append(time.perf_counter() - start)
        return value

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_segmentations(folder, args)
        for _ in range(args.rounds):
            gt = timed('AP: reading', read_annotations, folder / 'gt.json')
            tracks = read_results(folder / 'pred.json', gt)
            ours = timed('AP', evaluate_tracks, gt, tracks, args.workers).summary()
            gt_json, tracks_json = (
                json.loads((folder / f'{side}.json').read_text()) for side in ('gt', 'pred')
            )
            theirs = timed("AP, mmdet's evaluator", mmdet_ap, gt_json, tracks_json)
            sides = read_ground_truth(folder / 'gt_panoptic.json', folder / 'gt')
            predictions = read_predictions(folder / 'pred_panoptic.json', folder / 'pred', sides)
            timed('VPQ and STQ', evaluate_panoptic, sides, predictions, args.workers)
    rows = [{'what': key, 's': min(x)} for key, x in seconds.items()]
    ratio = min(seconds["AP, mmdet's evaluator"]) / min(seconds['AP'])
    difference = max(abs(ours[key] - value) for key, value in theirs.items())
    rows.append({'what': "AP: mmdet's time / ours", 'ratio': ratio})
    return [*rows, {'what': 'AP: largest difference of the 12 metrics', 'ratio': difference}]


def mmdet_ap(gt: dict, tracks: list[dict]) -> dict[str, float]:
    """Evaluate with mmdet's evaluator."""
    with contextlib.redirect_stdout(io.StringIO()):
        annotations = YTVIS(gt)
        evaluator = YTVISeval(annotations, annotations.loadRes(tracks))
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    return dict(zip(AP_NAMES, evaluator.stats.tolist(), strict=True))
