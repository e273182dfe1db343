# Axial-VS, near-online (Video-kMaX with within-clip tracking), ResNet-50, VIPSeg. VPQ in the paper: 46.1 (45.6, 46.6).
_base_ = [
    '../_base_/models/video-kmax_r50.py',
    '../_base_/datasets/vipseg.py',
    '../_base_/schedules/vipseg_40k_r50.py',
    '../_base_/default_runtime.py',
]
load_from = 'work_dirs/kmax_r50_32xb2-150k-deformable_coco/iter_150000.pth'

model = dict(
    clip_length=_base_.clip_length,
    panoptic_head=dict(within_clip=dict(temporal_layer=_base_.temporal_layer)),
    test_cfg=dict(thing_labels=_base_.thing_labels),
)
