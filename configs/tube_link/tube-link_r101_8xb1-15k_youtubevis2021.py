# Tube-Link with ResNet-101 on YouTube-VIS 2021. mmdet's public Mask2Former-VIS R101 fits it whole
# (`axialvs://mask2former-vis_r101_youtubevis2021`, AP 42.3 in mmdet's table).
# Paper: no such model.
# Training: as tube-link_r50_8xb1-15k_youtubevis2021.py; hours are not known.
_base_ = './tube-link_r50_8xb1-15k_youtubevis2021.py'
load_from = 'axialvs://mask2former_r101_coco'

model = dict(backbone=dict(depth=101))
