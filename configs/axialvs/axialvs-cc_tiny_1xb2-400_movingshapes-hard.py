# Study on the level "hard" (docs/results.md): cross-clip tracking on top of the frozen within-clip model, which
# axialvs-wc_tiny_1xb4-1k_movingshapes-hard.py trains.
_base_ = './axialvs-cc_tiny_1xb2-400_movingshapes.py'
load_from = 'work_dirs/axialvs-wc_tiny_1xb4-1k_movingshapes-hard/iter_1000.pth'

data_root = 'data/moving_shapes/hard/'
train_dataloader = dict(dataset=dict(data_root=data_root))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + 'valid/instances.json')
test_evaluator = val_evaluator
