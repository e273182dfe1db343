# Settings of the public release: on top of its near-online model, pasted frames at the top left.
_base_ = './axialvs-cc-kmax_convnext-l_8xb2-15k_vipseg.py'
load_from = 'work_dirs/axialvs-wc-kmax_convnext-l_16xb2-30k_vipseg_release/iter_30000.pth'

train_pipeline = [
    dict(type='ClipCopyPaste', random_place=False),
    dict(type='FilterEmptyInstances'),
    dict(type='PackClip'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
