"""Segmenters and their parts, registered with mmdet's registries by `axialvs.register`."""
