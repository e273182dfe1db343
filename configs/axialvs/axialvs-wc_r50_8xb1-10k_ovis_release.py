# The public release's settings: clips of 4 frames, the last clips
# shortened evenly, at most 30 masks in a frame, 15,000 iterations.
_base_ = './axialvs-wc_r50_8xb1-10k_ovis.py'

train_dataloader = dict(dataset=dict(clip_length=4))
val_dataloader = dict(dataset=dict(clip_length=4, split_mode='shorten'))
test_dataloader = val_dataloader
model = dict(test_cfg=dict(max_masks_per_frame=30))

max_iters = 15_000
milestones = [5_000, 10_000]
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=500),
    dict(
        type='MultiStepLR', by_epoch=False, begin=0, end=max_iters, milestones=milestones, gamma=0.1
    ),
]
train_cfg = dict(max_iters=max_iters, val_begin=max_iters, val_interval=max_iters)
