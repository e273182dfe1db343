# The within-clip tracking module, sized like the other layers of the tiny model (tube-link_tiny.py).
_base_ = './within_clip_tracking.py'

trajectory = dict(_base_.within_clip_tracking, num_heads=4, feedforward_channels=256)
