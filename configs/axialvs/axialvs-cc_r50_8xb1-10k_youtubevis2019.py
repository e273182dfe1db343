# Axial-VS, offline (cross-clip tracking on top of the frozen near-online model), ResNet-50, YouTube-VIS 2019.
_base_ = [
    '../_base_/models/tube-link_r50.py',
    '../_base_/datasets/youtube_vis_2019.py',
    '../_base_/schedules/cross_clip_10k.py',
    '../_base_/default_runtime.py',
]
load_from = 'work_dirs/axialvs-wc_r50_8xb1-15k_youtubevis2019/iter_15000.pth'

model = dict(
    type='AxialVSOffline',
    clip_length=_base_.clip_length,
    panoptic_head=dict(
        pixel_decoder=dict(temporal_layer=_base_.within_clip_tracking),
        cross_clip=_base_.cross_clip_tracking,
    ),
)
train_dataloader = dict(dataset=dict(num_frames=_base_.num_clips * _base_.clip_length))
