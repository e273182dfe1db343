# A tiny model from scratch on generated videos; hours on one CPU core. The learning rate stays constant for the first
# half and decays to zero in the second.
max_iters = 10000
lr = 4e-4
warmup = dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0)
poly_decay = dict(type='PolyLR', power=1.0, eta_min=0.0, by_epoch=False)  # to zero

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=lr, weight_decay=0.05, betas=(0.9, 0.999), eps=1e-8),
    paramwise_cfg=dict(
        norm_decay_mult=0.0,
        custom_keys=dict(
            query_embed=dict(decay_mult=0.0),
            query_feat=dict(decay_mult=0.0),
            level_embed=dict(decay_mult=0.0),
        ),
    ),
    clip_grad=dict(max_norm=0.1, norm_type=2),
)
param_scheduler = [
    dict(warmup, end=200),
    dict(poly_decay, begin=max_iters // 2, end=max_iters),
]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval=2000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
