# The tiny offline model with all of its parts trained together, activations computed again clip by clip.
# Paper: no such model.
# Training: videos of 24 frames as 8 clips of 3, 2 videos at a time on a CPU, 400 iterations, frames of 160x96; how long
# is not known.
_base_ = './axialvs-cc_tiny_1xb2-400_movingshapes.py'

model = dict(frozen=[], activation_checkpointing=True, panoptic_head=dict(own_predictors=False))
