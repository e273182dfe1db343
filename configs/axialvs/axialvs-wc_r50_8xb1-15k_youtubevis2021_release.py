# Near-online Axial-VS with ResNet-50 on YouTube-VIS 2021 as the public release has it, which its weights need
# (tools/model_converters/convert_release.py): the last clips of a video shortened evenly, at most 30 masks in a frame.
# Paper: figures 3 and 4, tables 2 and 11; AP 48.4, which the release reports for its weights.
# Training: clips of 5 frames, one clip on each of 8 GPUs, 15,000 iterations, short sides of 288 to 512; memory and
# hours are not known.
_base_ = './axialvs-wc_r50_8xb1-15k_youtubevis2021.py'

clip_length = 5
train_dataloader = dict(dataset=dict(clip_length=clip_length))
val_dataloader = dict(dataset=dict(clip_length=clip_length, split_mode='shorten'))
test_dataloader = val_dataloader
model = dict(test_cfg=dict(max_masks_per_frame=30))
