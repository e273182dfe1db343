"""Scores: YouTube-VIS average precision, from files or as a metric of a test loop."""

from axialvs.evaluation.video_instance_metric import VideoInstanceMetric

__all__ = ['VideoInstanceMetric']
