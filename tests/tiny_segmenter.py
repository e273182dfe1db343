"""A tiny segmenter: the tiny configs shrunk further, with all weights in use."""

import math
from pathlib import Path

import torch
from mmdet.registry import MODELS
from mmengine import Config
from mmengine.registry import init_default_scope

CONFIGS = Path(__file__).parents[1] / 'configs'
WITHIN_CLIP = 'axialvs/axialvs-wc_tiny_1xb4-10k_movingshapes.py'
PLAIN = 'tube_link/tube-link_tiny_1xb4-10k_movingshapes.py'
PANOPTIC = 'tube_link/tube-link_tiny_1xb4-10k_movingshapes-panoptic.py'

CHANNELS, HEADS, QUERIES, POINTS = 16, 2, 6, 64
_ATTENTION = dict(embed_dims=CHANNELS, num_heads=HEADS)
_FEEDFORWARD = dict(embed_dims=CHANNELS, feedforward_channels=32)
_SHRUNK = dict(
    backbone=dict(base_channels=8, norm_cfg=dict(num_groups=2)),
    panoptic_head=dict(
        in_channels=[8, 16, 32, 64],
        feat_channels=CHANNELS,
        out_channels=CHANNELS,
        num_queries=QUERIES,
        # The paper's loss weights, not those of the tiny configs.
        loss_cls=dict(loss_weight=2.0, class_weight=[1.0] * 5 + [0.1]),
        pixel_decoder=dict(
            norm_cfg=dict(num_groups=2),
            encoder=dict(
                num_layers=1, layer_cfg=dict(self_attn_cfg=_ATTENTION, ffn_cfg=_FEEDFORWARD)
            ),
            positional_encoding=dict(num_feats=CHANNELS // 2),
        ),
        positional_encoding=dict(num_feats=CHANNELS // 2),
        transformer_decoder=dict(
            layer_cfg=dict(
                self_attn_cfg=_ATTENTION, cross_attn_cfg=_ATTENTION, ffn_cfg=_FEEDFORWARD
            )
        ),
    ),
    train_cfg=dict(num_points=POINTS),
    test_cfg=dict(max_tracks=8, linking=dict(memory=None)),  # as in the paper
)
# Embedding tables, which are not multiplied.
_TABLES = ('query_embed.weight', 'query_feat.weight', 'level_embed.weight')


def tiny_config(name: str = WITHIN_CLIP) -> Config:
    """Return a tiny config, shrunk to about 0.2 M parameters."""
    config = Config.fromfile(CONFIGS / name)
    config.merge_from_dict({'model': _SHRUNK})
    head = config.model.panoptic_head
    if stuff := head.num_stuff_classes:
        head.num_queries += stuff
        head.loss_cls.class_weight = [1.0] * (head.num_things_classes + stuff) + [0.1]
    temporal_layer = head.pixel_decoder.get('temporal_layer')
    if temporal_layer:
        temporal_layer.update(num_heads=HEADS, feedforward_channels=32, dropout=0.0)
    return config


def randomize(model: torch.nn.Module, seed: int = 0) -> None:
    """Randomize all weights, so that none is zero by initialization and outputs stay bounded."""
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=rng)
            if parameter.ndim > 1:
                is_table = name.endswith(_TABLES)
                fan_in = 1 if is_table else math.prod(parameter.shape[1:])
                parameter.copy_(noise / math.sqrt(fan_in))
            elif name.endswith('weight') or name.endswith('gamma'):
                parameter.copy_(1 + 0.1 * noise)
            else:
                parameter.copy_(0.1 * noise)


def tiny_segmenter(name: str = WITHIN_CLIP, clip_length: int = 3) -> torch.nn.Module:
    """Return the network of `tiny_config` in eval mode with fixed random weights."""
    init_default_scope('mmdet')
    config = tiny_config(name)
    pipeline = config.test_dataloader.dataset.pipeline
    model = MODELS.build({**config.model, 'clip_length': clip_length, 'test_pipeline': pipeline})
    randomize(model)
    return model.eval()
