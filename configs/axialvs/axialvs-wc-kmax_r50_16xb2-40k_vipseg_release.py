# Settings of the public release: prediction heads at a tenth of the learning rate, pasted frames at
# the top left, and the repeated last frame of a video takes part in the scores of its tubes.
_base_ = './axialvs-wc-kmax_r50_16xb2-40k_vipseg.py'

model = dict(test_cfg=dict(score_padded=True))
optim_wrapper = dict(paramwise_cfg=dict(custom_keys=_base_.head_lr))
train_pipeline = [
    dict(type='ClipCopyPaste', random_place=False),
    dict(type='FilterEmptyInstances'),
    dict(type='PackClip'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
