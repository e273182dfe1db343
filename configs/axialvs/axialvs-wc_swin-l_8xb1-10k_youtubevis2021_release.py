# The public release's settings, which its weights were trained with: 100 queries, clips of 6 frames, the last clips
# shortened evenly, at most 30 masks in a frame. Convert the weights with tools/model_converters/convert_release.py.
_base_ = './axialvs-wc_swin-l_8xb1-10k_youtubevis2021.py'

clip_length = 6
train_dataloader = dict(dataset=dict(clip_length=clip_length))
val_dataloader = dict(dataset=dict(clip_length=clip_length, split_mode='shorten'))
test_dataloader = val_dataloader
model = dict(panoptic_head=dict(num_queries=100), test_cfg=dict(max_masks_per_frame=30))
