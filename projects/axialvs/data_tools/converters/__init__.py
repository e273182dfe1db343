"""Converters to the YouTube-VIS layout: mask images, COCO-video files, CVAT exports."""
