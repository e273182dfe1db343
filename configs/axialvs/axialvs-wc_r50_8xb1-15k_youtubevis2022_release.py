# The public release's settings: clips of 5 frames in training and 4 in tests, the last clips
# shortened evenly, at most 30 masks in a frame.
_base_ = './axialvs-wc_r50_8xb1-15k_youtubevis2022.py'

train_dataloader = dict(dataset=dict(clip_length=5))
val_dataloader = dict(dataset=dict(clip_length=4, split_mode='shorten'))
test_dataloader = val_dataloader
model = dict(test_cfg=dict(max_masks_per_frame=30))
