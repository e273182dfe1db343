"""A tiny offline segmenter, and the near-online one that it contains."""

import torch
from mmdet.registry import MODELS
from mmengine import Config

from tiny_segmenter import HEADS, randomize, tiny_config, tiny_segmenter

CROSS_CLIP = 'axialvs/axialvs-cc_tiny_1xb2-400_movingshapes.py'
END_TO_END = 'axialvs/axialvs-cc_tiny_1xb2-400-end2end_movingshapes.py'
BLOCKS = 2


def tiny_offline_config(name: str = CROSS_CLIP, **model) -> Config:
    """Return a shrunk tiny offline config without dropout, with further model settings."""
    config = tiny_config(name)
    config.model.panoptic_head.cross_clip.update(
        num_layers=BLOCKS, num_heads=HEADS, attention_dropout=0.0
    )
    config.model.panoptic_head.cross_clip.aspp.dropout = 0.0
    config.merge_from_dict({'model': model})
    return config


def tiny_offline(name: str = CROSS_CLIP, **model) -> torch.nn.Module:
    """Return the network of `tiny_offline_config` in eval mode with fixed random weights."""
    config = tiny_offline_config(name, **model)
    pipeline = config.test_dataloader.dataset.pipeline
    segmenter = MODELS.build({**config.model, 'test_pipeline': pipeline})
    randomize(segmenter)
    return segmenter.eval()


def contained_near_online(offline: torch.nn.Module) -> torch.nn.Module:
    """Return the near-online model with the weights of an offline model's clip stage."""
    near_online = tiny_segmenter(clip_length=offline.clip_length)
    weights = offline.state_dict()
    near_online.load_state_dict({name: weights[name] for name in near_online.state_dict()})
    return near_online
