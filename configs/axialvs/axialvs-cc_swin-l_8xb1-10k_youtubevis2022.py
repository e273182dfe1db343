# Offline Axial-VS with Swin-L on YouTube-VIS 2022: the near-online model with the cross-clip tracking module on
# top, which alone is trained, on videos of 20 frames: 5 clips of 4. 8 GPUs, one video each.
# Paper table 2: AP long 38.9; table 12: AP all 48.8; means of three runs.
# `load_from` is the near-online model's checkpoint.
_base_ = [
    './axialvs-wc_swin-l_8xb1-10k_youtubevis2022.py',
    '../_base_/models/cross_clip_tracking.py',
    '../_base_/schedules/cross_clip_10k.py',
]
load_from = 'work_dirs/axialvs-wc_swin-l_8xb1-10k_youtubevis2022/iter_10000.pth'

train_dataloader = dict(dataset=dict(clip_length=_base_.num_clips * _base_.clip_length))
model = dict(
    type='OfflineTubeLink',
    clip_length=_base_.clip_length,
    panoptic_head=dict(type='CrossClipHead', cross_clip=_base_.cross_clip_tracking),
)
param_scheduler = _base_.cross_clip_param_scheduler
train_cfg = _base_.cross_clip_train_cfg
