"""Scores: YouTube-VIS AP and identity switches, VPQ and STQ, and the metric for mmdet."""

from axialvs.evaluation.id_switches import IDSwitches, count_id_switches
from axialvs.evaluation.metrics import ShortLongMetric, VideoInstanceMetric
from axialvs.evaluation.panoptic_files import read_ground_truth, read_predictions
from axialvs.evaluation.panoptic_scores import VideoPanopticScores, evaluate_panoptic
from axialvs.evaluation.results import (
    ResultsError,
    TrackResult,
    read_results,
    write_results,
    write_submission,
)
from axialvs.evaluation.youtube_vis import VideoAPResult, evaluate_tracks

__all__ = [
    'IDSwitches',
    'ResultsError',
    'ShortLongMetric',
    'TrackResult',
    'VideoAPResult',
    'VideoInstanceMetric',
    'VideoPanopticScores',
    'count_id_switches',
    'evaluate_panoptic',
    'evaluate_tracks',
    'read_ground_truth',
    'read_predictions',
    'read_results',
    'write_results',
    'write_submission',
]
