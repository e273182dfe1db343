# Axial-VS, offline (cross-clip tracking on top of the frozen near-online model), ConvNeXt-L, VIPSeg. VPQ in the paper: 57.1 (59.3, 54.8).
_base_ = [
    '../_base_/models/video-kmax_convnext-l.py',
    '../_base_/datasets/vipseg.py',
    '../_base_/schedules/vipseg_15k_cross_clip.py',
    '../_base_/default_runtime.py',
]
load_from = 'work_dirs/axialvs-wc-kmax_convnext-l_16xb2-30k_vipseg/iter_30000.pth'

model = dict(
    type='AxialVSOffline',
    clip_length=_base_.clip_length,
    frozen=_base_.frozen,
    panoptic_head=dict(
        within_clip=dict(temporal_layer=dict(_base_.temporal_layer, dropout=0.0)),
        cross_clip=_base_.cross_clip_tracking,
        semantic_head=None,
        loss=_base_.cross_clip_loss,
    ),
    test_cfg=dict(
        thing_labels=_base_.thing_labels, panoptic=dict(pixel=0.2, thing=0.2, stuff=0.45)
    ),
)
train_dataloader = dict(dataset=dict(num_frames=_base_.num_clips * _base_.clip_length))
