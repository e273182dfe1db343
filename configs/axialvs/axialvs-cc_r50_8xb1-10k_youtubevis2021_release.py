# The public release's settings, which its offline weights were trained with: videos of 9 frames, 3 clips of 3; class
# and mask layers shared by clips and videos, and trained, so that the clip-level segmenter changes as well; at most
# 30 masks in a frame. Convert the weights with tools/model_converters/convert_release.py.
_base_ = ['./axialvs-cc_r50_8xb1-10k_youtubevis2021.py', '../_base_/models/cross_clip_release.py']

clip_length = 3
num_clips = 3
load_from = 'work_dirs/axialvs-wc_r50_8xb1-15k_youtubevis2021_release/iter_15000.pth'

train_dataloader = dict(dataset=dict(clip_length=num_clips * clip_length))
val_dataloader = dict(dataset=dict(clip_length=clip_length))
test_dataloader = val_dataloader
model = dict(
    clip_length=clip_length,
    frozen=_base_.release_frozen,
    panoptic_head=dict(own_predictors=False),
    test_cfg=dict(max_masks_per_frame=30),
)
