# Tube-Link with Swin-L and all of the 200 queries that mmdet's checkpoints have. mmdet's public Mask2Former-VIS Swin-L
# fits it whole (`axialvs://mask2former-vis_swin-l_youtubevis2021`, AP 52.3 in mmdet's table); the paper has 100.
_base_ = './tube-link_swin-l_8xb1-10k_youtubevis2021.py'

model = dict(panoptic_head=dict(num_queries=200))
