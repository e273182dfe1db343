# The tiny offline model with all of its parts trained together, activations computed again clip by clip.
_base_ = './axialvs-cc_tiny_1xb2-400_movingshapes.py'

model = dict(frozen=[], activation_checkpointing=True, panoptic_head=dict(own_predictors=False))
