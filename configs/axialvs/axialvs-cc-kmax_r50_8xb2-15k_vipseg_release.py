# Settings of the public release: on top of its near-online model, pasted frames at the top left. It also plays half of
# the training clips backwards, which is left out.
_base_ = './axialvs-cc-kmax_r50_8xb2-15k_vipseg.py'
load_from = 'work_dirs/axialvs-wc-kmax_r50_16xb2-40k_vipseg_release/iter_40000.pth'

train_pipeline = [
    dict(type='ClipCopyPaste', random_place=False),
    dict(type='FilterEmptyInstances'),
    dict(type='PackClip'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
