# Video-kMaX, ResNet-50, VIPSeg. VPQ in the paper: 42.7 (things 42.5, stuff 42.9).
_base_ = [
    '../_base_/models/video-kmax_r50.py',
    '../_base_/datasets/vipseg.py',
    '../_base_/schedules/vipseg_40k_r50.py',
    '../_base_/default_runtime.py',
]
load_from = 'work_dirs/kmax_r50_32xb2-150k_coco/iter_150000.pth'

model = dict(clip_length=_base_.clip_length, test_cfg=dict(thing_labels=_base_.thing_labels))
