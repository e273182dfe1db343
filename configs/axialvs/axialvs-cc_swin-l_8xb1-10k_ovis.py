# Axial-VS, offline (cross-clip tracking on top of the frozen near-online model), Swin-L, OVIS.
# Paper (table 13): AP 39.8, AP50 64.5, AP75 40.1, AR1 17.9, AR10 43.7.
_base_ = [
    '../_base_/models/tube-link_swin-l.py',
    '../_base_/datasets/ovis.py',
    '../_base_/schedules/cross_clip_10k.py',
    '../_base_/default_runtime.py',
]
load_from = 'work_dirs/axialvs-wc_swin-l_8xb1-10k_ovis/iter_10000.pth'

num_classes = _base_.num_ovis_classes
model = dict(
    type='AxialVSOffline',
    clip_length=_base_.clip_length,
    panoptic_head=dict(
        num_things_classes=num_classes,
        loss_cls=dict(class_weight=[1.0] * num_classes + [0.1]),
        pixel_decoder=dict(temporal_layer=_base_.within_clip_tracking),
        cross_clip=_base_.cross_clip_tracking,
    ),
)
train_dataloader = dict(dataset=dict(num_frames=_base_.num_clips * _base_.clip_length))
