# 40k iterations with ResNet-50 and batch size 32 (Axial-VS on Video-kMaX; 16 GPUs with two clips each in the paper).
max_iters = 40_000
warmup_iters = 2_000
lr = 5e-5

backbone_lr = dict(lr_mult=0.1)
no_decay = {key: dict(decay_mult=0.0) for key in ('gamma', 'position_table', 'cluster_centers')}
# The release trains the prediction heads at a tenth of the learning rate, meant for offline models only, in near-online
# models too; its configs `*_release.py` add this.
head_lr = {
    key: dict(lr_mult=0.1)
    for key in ('class_proj', 'mask_proj', 'mask_embed', 'cls_embed', 'mask_norm')
}
optim_wrapper = dict(
    type='OptimWrapper',
    constructor='MultiplicativeOptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=lr, weight_decay=0.05, betas=(0.9, 0.999), eps=1e-8),
    paramwise_cfg=dict(
        norm_decay_mult=0.0,
        bias_decay_mult=0.0,
        custom_keys=dict(backbone=backbone_lr, temporal_layers=dict(lr_mult=2.0), **no_decay),
    ),
)
auto_scale_lr = dict(enable=False, base_batch_size=32)

# LinearLR reaches the full rate one iteration before `end`; the decay is that of step / max_iters, not re-based.
warmup = dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0)
decay = dict(type='PolyLR', power=0.9, eta_min=0.0, by_epoch=False, begin=0)
param_scheduler = [dict(warmup, end=warmup_iters + 1), dict(decay, end=max_iters + 1)]

train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_begin=1, val_interval=5_000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
