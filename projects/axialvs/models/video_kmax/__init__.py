"""Video-kMaX: k-means mask transformer for video panoptic segmentation."""
