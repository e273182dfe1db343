# Settings of the public release: prediction heads at a tenth of the learning rate, norms of the backbone decay, pasted
# frames at the top left, and the repeated last frame of a video takes part in the scores of its tubes.
_base_ = './axialvs-wc-kmax_convnextv2-l_16xb2-30k_vipseg.py'

model = dict(test_cfg=dict(score_padded=True))
optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys={**_base_.head_lr, 'backbone': dict(norm_decay_mult=1.0)})
)
train_pipeline = [
    dict(type='ClipCopyPaste', random_place=False),
    dict(type='FilterEmptyInstances'),
    dict(type='PackClip'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
