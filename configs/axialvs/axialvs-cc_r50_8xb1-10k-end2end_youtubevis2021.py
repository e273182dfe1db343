# Axial-VS, offline, ResNet-50, YouTube-VIS 2021, trained end to end with activation checkpointing per clip: memory grows
# with frames and mask features only. The paper freezes the clip-level segmenter (appendix D names memory as the limit).
_base_ = './axialvs-cc_r50_8xb1-10k_youtubevis2021.py'

model = dict(frozen=[], activation_checkpointing=True, panoptic_head=dict(own_predictors=False))
