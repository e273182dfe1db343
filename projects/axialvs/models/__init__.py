"""Segmenters and their modules, registered with mmdet's registries by `axialvs.register`."""
