# The public release's settings: videos of 24 frames, 6 clips of 4, 6 blocks in the cross-clip module;
# class and mask layers shared by clips and videos, and trained; at most 30 masks in a frame.
_base_ = ['./axialvs-cc_r50_8xb1-10k_ovis.py', '../_base_/models/cross_clip_release.py']

clip_length = 4
num_clips = 6
load_from = 'work_dirs/axialvs-wc_r50_8xb1-10k_ovis_release/iter_15000.pth'

train_dataloader = dict(dataset=dict(clip_length=num_clips * clip_length))
val_dataloader = dict(dataset=dict(clip_length=clip_length))
test_dataloader = val_dataloader
model = dict(
    clip_length=clip_length,
    frozen=_base_.release_frozen,
    panoptic_head=dict(own_predictors=False, cross_clip=dict(num_layers=6)),
    test_cfg=dict(max_masks_per_frame=30),
)
