# Own data in the YouTube-VIS layout (docs/own_data.md): data/own/ with JPEGImages/, train.json and test.json.
# For other classes override `classes` of the three datasets and the number of classes of the model.
_base_ = './youtube_vis_2021.py'

data_root = 'data/own/'
classes = ('object',)
data = dict(data_root=data_root, data_prefix=dict(img_path='JPEGImages/'), classes=classes)
train_dataloader = dict(batch_size=2, dataset=dict(ann_file='train.json', **data))
val_dataloader = dict(dataset=dict(ann_file='test.json', **data))
test_dataloader = val_dataloader
val_evaluator = dict(_delete_=True, type='VideoInstanceMetric', ann_file=data_root + 'test.json')
test_evaluator = val_evaluator
