# Level "hard" of the generated dataset: more objects, look-alikes that cross, full occlusion, re-entry.
_base_ = './moving_shapes.py'

data_root = 'data/moving_shapes/hard/'
train_dataloader = dict(dataset=dict(data_root=data_root))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + 'valid/instances.json')
test_evaluator = val_evaluator
