"""Metrics: YouTube-VIS AP, tracking, VPQ and STQ. Only `metrics` needs mmengine."""
