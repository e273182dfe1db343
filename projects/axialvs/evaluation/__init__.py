"""Scores: YouTube-VIS AP and identity switches, VPQ and STQ, and the metric for mmdet."""

from axialvs.evaluation.id_switches import IDSwitches, count_id_switches
from axialvs.evaluation.panoptic_files import read_ground_truth, read_predictions
from axialvs.evaluation.results_file import ResultsError, TrackResult, read_results
from axialvs.evaluation.short_long_metric import ShortLongMetric
from axialvs.evaluation.submission import write_results, write_submission
from axialvs.evaluation.video_instance_metric import VideoInstanceMetric
from axialvs.evaluation.video_panoptic_scores import VideoPanopticScores, evaluate_panoptic
from axialvs.evaluation.youtube_vis_ap import VideoAPResult, evaluate_tracks

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
