# Offline Axial-VS with ResNet-50 on YouTube-VIS 2021: the near-online model with the cross-clip tracking module on
# top, which alone is trained, on videos of 20 frames: 5 clips of 4. Paper table 2 (a): AP 48.5, mean of three runs.
# `load_from` is the near-online model's checkpoint.
_base_ = [
    './axialvs-wc_r50_8xb1-15k_youtubevis2021.py',
    '../_base_/models/cross_clip_tracking.py',
    '../_base_/schedules/cross_clip_10k.py',
]
load_from = 'work_dirs/axialvs-wc_r50_8xb1-15k_youtubevis2021/iter_15000.pth'

train_dataloader = dict(dataset=dict(clip_length=_base_.num_clips * _base_.clip_length))
model = dict(
    type='OfflineTubeLink',
    clip_length=_base_.clip_length,
    panoptic_head=dict(type='CrossClipHead', cross_clip=_base_.cross_clip_tracking),
)
param_scheduler = _base_.cross_clip_param_scheduler
train_cfg = _base_.cross_clip_train_cfg
