# Axial-VS, offline (cross-clip tracking on top of the frozen near-online model), Swin-L, YouTube-VIS 2021.
# Paper (table 11): AP 59.1, AP50 81.9, AP75 64.9, AR1 46.9, AR10 63.8.
_base_ = [
    '../_base_/models/tube-link_swin-l.py',
    '../_base_/datasets/youtube_vis_2021.py',
    '../_base_/schedules/cross_clip_10k.py',
    '../_base_/default_runtime.py',
]
load_from = 'work_dirs/axialvs-wc_swin-l_8xb1-10k_youtubevis2021/iter_10000.pth'

model = dict(
    type='AxialVSOffline',
    clip_length=_base_.clip_length,
    panoptic_head=dict(
        pixel_decoder=dict(temporal_layer=_base_.within_clip_tracking),
        cross_clip=_base_.cross_clip_tracking,
    ),
)
train_dataloader = dict(dataset=dict(num_frames=_base_.num_clips * _base_.clip_length))
