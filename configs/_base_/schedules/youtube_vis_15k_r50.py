# 15k iterations with ResNet-50 (the release's schedule; 8 GPUs with one clip each in the paper).
max_iters = 15_000
# Shared by all full-size schedules, which set `end` and `milestones` of the decay.
# 500 iterations of warm-up: LinearLR reaches the full rate one iteration before `end`.
warmup = dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=501)
step_decay = dict(type='MultiStepLR', by_epoch=False, begin=0, gamma=0.1)

_no_decay = dict(lr_mult=1.0, decay_mult=0.0)
_as_is = dict(lr_mult=1.0, decay_mult=1.0)
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-4, weight_decay=0.05, betas=(0.9, 0.999), eps=1e-8),
    paramwise_cfg=dict(
        norm_decay_mult=0.0,
        # A matching key takes precedence over the rule for norms, so norms of the backbone and of the tracking module decay.
        custom_keys=dict(
            backbone=dict(lr_mult=0.1, decay_mult=1.0),
            query_embed=_no_decay,
            query_feat=_no_decay,
            level_embed=_no_decay,
            level_encoding_3d=_as_is,
            temporal_layer=_as_is,
        ),
    ),
    clip_grad=dict(max_norm=0.01, norm_type=2),
)
auto_scale_lr = dict(enable=False, base_batch_size=8)

param_scheduler = [warmup, dict(step_decay, end=max_iters, milestones=[5_000, 10_000])]

# Validation at the end only: the public validation sets come without annotations.
train_cfg = dict(
    type='IterBasedTrainLoop', max_iters=max_iters, val_begin=max_iters, val_interval=max_iters
)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
