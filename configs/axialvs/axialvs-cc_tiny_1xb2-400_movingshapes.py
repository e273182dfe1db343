# Offline Axial-VS, tiny: the near-online tiny model with the cross-clip tracking module on top, which alone is trained,
# on whole generated videos.
# Paper: no such model.
# Training: videos of 24 frames as 8 clips of 3, 2 videos at a time on a CPU, 400 iterations, frames of 160x96; 17
# minutes on two shared cores (docs/small_weights.md).
_base_ = [
    './axialvs-wc_tiny_1xb4-10k_movingshapes.py',
    '../_base_/models/cross_clip_tracking.py',
]
num_clips = 8
load_from = 'axialvs://axialvs-wc_tiny_movingshapes'

train_dataloader = dict(batch_size=2, dataset=dict(clip_length=num_clips * _base_.clip_length))
cross_clip = dict(_base_.cross_clip_tracking, num_heads=_base_.heads)
model = dict(
    type='OfflineTubeLink',
    clip_length=_base_.clip_length,
    panoptic_head=dict(type='CrossClipHead', cross_clip=cross_clip),
)

max_iters = _base_.short_iters
param_scheduler = _base_.short_param_scheduler
train_cfg = dict(max_iters=max_iters)
default_hooks = dict(checkpoint=dict(interval=max_iters))
