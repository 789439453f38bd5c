"""How images of one's own are read; a config that inherits this brings the data sets and their pipelines."""
loader = dict(
    batch_size=64,
    num_workers=2,
    persistent_workers=False,
    collate_fn=dict(type='default_collate'))

train_dataloader = dict(**loader, drop_last=True, sampler=dict(type='DefaultSampler', shuffle=True))

# Held-out TRAINING images: the assistant is chosen on these, never on the test split.
val_dataloader = dict(**loader, sampler=dict(type='DefaultSampler', shuffle=False))
val_evaluator = dict(type='Accuracy', topk=(1,))
val_cfg = dict()

test_dataloader = dict(**loader, sampler=dict(type='DefaultSampler', shuffle=False))
test_evaluator = dict(type='Accuracy', topk=(1,))
test_cfg = dict()
