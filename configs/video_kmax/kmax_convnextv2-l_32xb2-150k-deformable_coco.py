# kMaX-DeepLab, ConvNeXtV2-L, COCO panoptic, with deformable attention: pre-training of the models with within-clip tracking.
_base_ = './kmax_convnextv2-l_32xb2-150k_coco.py'

model = dict(panoptic_head=dict(within_clip=dict()))
