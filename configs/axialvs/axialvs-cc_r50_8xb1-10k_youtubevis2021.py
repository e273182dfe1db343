# Axial-VS, offline (cross-clip tracking on top of the frozen near-online model), ResNet-50, YouTube-VIS 2021.
# Paper (table 11): AP 48.5, AP50 70.9, AP75 52.4, AR1 42.3, AR10 57.9.
_base_ = [
    '../_base_/models/tube-link_r50.py',
    '../_base_/datasets/youtube_vis_2021.py',
    '../_base_/schedules/cross_clip_10k.py',
    '../_base_/default_runtime.py',
]
load_from = 'work_dirs/axialvs-wc_r50_8xb1-15k_youtubevis2021/iter_15000.pth'

model = dict(
    type='AxialVSOffline',
    clip_length=_base_.clip_length,
    panoptic_head=dict(
        pixel_decoder=dict(temporal_layer=_base_.within_clip_tracking),
        cross_clip=_base_.cross_clip_tracking,
    ),
)
train_dataloader = dict(dataset=dict(num_frames=_base_.num_clips * _base_.clip_length))
