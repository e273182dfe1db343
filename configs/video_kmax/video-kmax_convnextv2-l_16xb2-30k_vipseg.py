# Video-kMaX, ConvNeXtV2-L, VIPSeg.
_base_ = [
    '../_base_/models/video-kmax_convnextv2-l.py',
    '../_base_/datasets/vipseg.py',
    '../_base_/schedules/vipseg_30k_convnext.py',
    '../_base_/default_runtime.py',
]
load_from = 'work_dirs/kmax_convnextv2-l_32xb2-150k_coco/iter_150000.pth'

model = dict(clip_length=_base_.clip_length, test_cfg=dict(thing_labels=_base_.thing_labels))
