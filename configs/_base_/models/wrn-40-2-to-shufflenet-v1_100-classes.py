"""WRN-40-2 at 32 px, 100 classes; and a ShuffleNetV1, 1,000,252 parameters, to be its student."""
_base_ = ['wrn-40-2-to-16-2_100-classes.py']

student_architecture = dict(
    _delete_=True,
    type='ImageClassifier',
    backbone=dict(type='mmamd.CifarShuffleNetV1'),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=100, in_channels=960))
# Module of the student, module of the teacher.
connect = [('backbone.layers.2', 'backbone.stages.2')]
