# Tube-Link, ResNet-101, YouTube-VIS 2021. Fits mmdet's public Mask2Former-VIS R101
# (`axialvs://mask2former-vis_r101_youtubevis2021`, AP 42.3 in mmdet's table).
_base_ = './tube-link_r50_8xb1-15k_youtubevis2021.py'
load_from = 'axialvs://mask2former_r101_coco'

model = dict(backbone=dict(depth=101))
