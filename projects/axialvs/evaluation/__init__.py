"""Scores of video segmentation: YouTube-VIS AP and identity switches, and the metric for mmdet."""

from axialvs.evaluation.id_switches import IDSwitches, count_id_switches
from axialvs.evaluation.results_file import ResultsError, TrackResult, read_results
from axialvs.evaluation.submission import write_results, write_submission
from axialvs.evaluation.video_instance_metric import VideoInstanceMetric
from axialvs.evaluation.youtube_vis_ap import VideoAPResult, evaluate_tracks

__all__ = [
    'IDSwitches',
    'ResultsError',
    'TrackResult',
    'VideoAPResult',
    'VideoInstanceMetric',
    'count_id_switches',
    'evaluate_tracks',
    'read_results',
    'write_results',
    'write_submission',
]
