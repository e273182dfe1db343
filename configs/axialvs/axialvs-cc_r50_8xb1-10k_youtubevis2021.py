# Offline Axial-VS with ResNet-50 on YouTube-VIS 2021: the near-online model with the cross-clip tracking module on
# top, which alone is trained, on videos of 20 frames: 5 clips of 4. Paper table 2 (a): AP 48.5, mean of three runs.
# `load_from` is the near-online model's checkpoint.
_base_ = [
    './axialvs-wc_r50_8xb1-15k_youtubevis2021.py',
    '../_base_/models/cross_clip_tracking.py',
]
clip_length = 4
num_clips = 5
load_from = 'work_dirs/axialvs-wc_r50_8xb1-15k_youtubevis2021/iter_15000.pth'

train_dataloader = dict(dataset=dict(clip_length=num_clips * clip_length))
model = dict(
    type='OfflineTubeLink',
    clip_length=clip_length,
    panoptic_head=dict(type='CrossClipHead', cross_clip=_base_.cross_clip_tracking),
)

max_iters = 10_000
milestones = [2_500, 7_500]
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=500),
    dict(
        type='MultiStepLR', by_epoch=False, begin=0, end=max_iters, milestones=milestones, gamma=0.1
    ),
]
train_cfg = dict(max_iters=max_iters, val_begin=max_iters, val_interval=max_iters)
