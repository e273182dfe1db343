# Axial-VS, offline, tiny, generated data, trained end to end with activation checkpointing per clip.
_base_ = './axialvs-cc_tiny_1xb2-400_movingshapes.py'

model = dict(frozen=[], activation_checkpointing=True, panoptic_head=dict(own_predictors=False))
