# The public release's settings: 100 queries, clips of 6 frames, the last clips
# shortened evenly, at most 30 masks in a frame.
_base_ = './axialvs-wc_swin-l_8xb1-10k_youtubevis2022.py'

train_dataloader = dict(dataset=dict(clip_length=6))
val_dataloader = dict(dataset=dict(clip_length=6, split_mode='shorten'))
test_dataloader = val_dataloader
model = dict(panoptic_head=dict(num_queries=100), test_cfg=dict(max_masks_per_frame=30))
