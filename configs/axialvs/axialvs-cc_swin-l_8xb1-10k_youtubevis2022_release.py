# The public release's settings: 100 queries, videos of 36 frames, 6 clips of 6;
# class and mask layers shared by clips and videos, and trained; at most 30 masks in a frame.
_base_ = [
    './axialvs-cc_swin-l_8xb1-10k_youtubevis2022.py',
    '../_base_/models/cross_clip_release.py',
]

clip_length = 6
num_clips = 6
load_from = 'work_dirs/axialvs-wc_swin-l_8xb1-10k_youtubevis2022_release/iter_10000.pth'

train_dataloader = dict(dataset=dict(clip_length=num_clips * clip_length))
val_dataloader = dict(dataset=dict(clip_length=clip_length))
test_dataloader = val_dataloader
model = dict(
    clip_length=clip_length,
    frozen=_base_.release_frozen,
    panoptic_head=dict(own_predictors=False, num_queries=100),
    test_cfg=dict(max_masks_per_frame=30),
)
