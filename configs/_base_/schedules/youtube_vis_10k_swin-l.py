# 10k iterations with Swin-L (the release's schedule).
_base_ = './youtube_vis_15k_r50.py'

max_iters = 10_000

_backbone_no_decay = dict(lr_mult=0.1, decay_mult=0.0)
_depths = (2, 2, 18, 2)
# Longer keys take precedence, so norms of the backbone do not follow the rule for `backbone`. Queries have a tenth of
# the learning rate as well.
_norms = {
    'backbone.patch_embed.norm': _backbone_no_decay,
    'backbone.norm': _backbone_no_decay,
    'absolute_pos_embed': _backbone_no_decay,
    'relative_position_bias_table': _backbone_no_decay,
    **{
        f'backbone.stages.{stage}.blocks.{block}.norm': _backbone_no_decay
        for stage, depth in enumerate(_depths)
        for block in range(depth)
    },
    **{
        f'backbone.stages.{stage}.downsample.norm': _backbone_no_decay
        for stage in range(len(_depths) - 1)
    },
}
optim_wrapper = dict(
    paramwise_cfg=dict(
        custom_keys=dict(
            _delete_=True,
            backbone=dict(lr_mult=0.1, decay_mult=1.0),
            query_embed=_backbone_no_decay,
            query_feat=_backbone_no_decay,
            level_embed=_backbone_no_decay,
            **_norms,
        )
    )
)

param_scheduler = [
    _base_.warmup,
    dict(_base_.step_decay, end=max_iters, milestones=[2_500, 5_000]),
]
train_cfg = dict(max_iters=max_iters, val_begin=max_iters, val_interval=max_iters)
