# kMaX-DeepLab, ResNet-50, COCO panoptic, with deformable attention: pre-training of the models with within-clip tracking.
# The ImageNet weights expect ImageNet's mean and standard deviation, the model feeds [-1, 1] as the release does:
# training on COCO adapts to that, so do not start on VIPSeg from them.
_base_ = './kmax_r50_32xb2-150k_coco.py'

model = dict(panoptic_head=dict(within_clip=dict()))
