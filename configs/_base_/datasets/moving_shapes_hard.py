# The level "hard" of the generated data set: more objects, look-alikes that cross, full occlusion, re-entry.
# Only variables: a config puts them over the data of moving_shapes.py.
_hard_root = 'data/moving_shapes/hard/'
hard_part = dict(data_root=_hard_root)
hard_evaluator = dict(ann_file=_hard_root + 'valid/instances.json')
