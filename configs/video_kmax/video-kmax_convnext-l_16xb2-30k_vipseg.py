# Video-kMaX, ConvNeXt-L, VIPSeg. VPQ in the paper: 52.7 (54.1, 51.3).
_base_ = [
    '../_base_/models/video-kmax_convnext-l.py',
    '../_base_/datasets/vipseg.py',
    '../_base_/schedules/vipseg_30k_convnext.py',
    '../_base_/default_runtime.py',
]
load_from = 'work_dirs/kmax_convnext-l_32xb2-150k_coco/iter_150000.pth'

model = dict(clip_length=_base_.clip_length, test_cfg=dict(thing_labels=_base_.thing_labels))
