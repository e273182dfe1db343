# Training of the cross-clip tracking module: 10,000 iterations on videos of 5 clips (Axial-VS appendix A; the steps are
# the release's). Plain variables, because the near-online config beneath has a schedule of its own.
num_clips = 5
_max_iters = 10_000
cross_clip_steps = dict(end=_max_iters, milestones=[2_500, 7_500])
cross_clip_train_cfg = dict(max_iters=_max_iters, val_begin=_max_iters, val_interval=_max_iters)
