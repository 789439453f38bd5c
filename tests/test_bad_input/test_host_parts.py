"""Parts of the host that a config names: an unknown type or option is refused before anything is built."""

import logging

import pytest
from malformed import put
from mmengine.registry import FUNCTIONS, DefaultScope

from mmamd.pipeline.config.host_parts import check_part

# Key, value, what the message must say beside it.
CASES = [
    # --- types ---
    ('default_scope', 'mmpretrian', 'Did you mean mmpretrain'),
    ('default_scope', 'nowhere', 'is the scope of no package that is installed'),
    ('optim_wrapper.optimizer.type', 'AdamWW', 'Did you mean AdamW'),
    ('optim_wrapper.optimizer.type', 'Sgd', 'there is no such'),
    ('optim_wrapper.type', 'OptimWraper', 'Did you mean OptimWrapper'),
    ('custom_hooks.2', {'type': 'EMAHok'}, 'Did you mean EMAHook'),
    ('custom_hooks.2', {'type': 'mmamd.SandwichSparsityHok'}, 'Did you mean mmamd.SandwichSparsityHook'),
    ('custom_hooks.2', {'interval': 3}, 'must be the name of a hook, got None'),
    ('joint.custom_hooks', [{'type': 'NoHook'}], 'there is no such hook'),
    ('default_hooks.chekpoint', {'interval': 1}, 'must be the name of a hook, got None'),
    ('default_hooks.logger', {'type': 'LogerHook'}, 'Did you mean LoggerHook'),
    ('train_dataloader.sampler.type', 'DefaultSamplr', 'Did you mean DefaultSampler'),
    ('train_dataloader.collate_fn.type', 'default_colate', 'there is no such function'),
    ('joint.param_scheduler.0.type', 'CosineAnealingLR', 'Did you mean CosineAnnealingLR'),
    ('student.param_scheduler', {'type': 'StepLRR'}, 'Did you mean StepLR'),
    ('val_evaluator.type', 'Acuracy', 'Did you mean Accuracy'),
    ('test_evaluator', [{'type': 'Accuracy'}, {'type': 'Acuracy'}], 'Did you mean Accuracy'),
    ('train_dataloader.dataset.type', 'mmamd.HoldOt', 'Did you mean mmamd.HoldOut'),
    ('test_dataloader.dataset.type', 'CIFAR', 'there is no such dataset'),
    ('train_dataloader.dataset.dataset.type', 'mmamd.Digit', 'Did you mean mmamd.Digits'),
    ('train_dataloader.dataset.dataset.pipeline', [{'type': 'RandomCropp'}], 'Did you mean RandomCrop'),
    ('test_dataloader.dataset.pipeline', [{'type': 'PackInput'}], 'Did you mean PackInputs'),
    ('visualizer.type', 'UniversalVisualiser', 'Did you mean UniversalVisualizer'),
    ('model.architecture.type', 'ImageClasifier', 'Did you mean ImageClassifier'),
    ('model.architecture.backbone.type', 'mmamd.MaskedVit', 'Did you mean mmamd.MaskedViT'),
    ('model.architecture.head.type', 'LinearClsHed', 'Did you mean LinearClsHead'),
    # --- options ---
    ('optim_wrapper.optimizer.weight_decays', 0.1, 'Did you mean weight_decay'),
    ('optim_wrapper.optimizer.momentum', 0.9, 'AdamW has no option'),
    ('optim_wrapper.clip_grads', {'max_norm': 1.}, 'Did you mean clip_grad'),
    ('optim_wrapper.clip_grad', {'max_nrm': 1.}, 'Did you mean max_norm'),
    ('optim_wrapper.clip_grad', {'norm_type': 2}, 'max_norm must be a number above 0, got None'),
    ('optim_wrapper.clip_grad', {'type': 'vale', 'max_norm': 1.}, "must be 'norm' or 'value'"),
    ('optim_wrapper.clip_grad', {'type': 'value', 'max_norm': 1.}, "Expected some of ['clip_value'"),
    ('optim_wrapper.clip_grad', {}, 'max_norm must be a number above 0'),
    ('joint.param_scheduler.0.T_maxx', 3, 'Did you mean T_max'),
    ('joint.param_scheduler.0.warmup', 3, 'CosineAnnealingLR has no option'),
    ('default_hooks.logger.intervall', 3, 'Did you mean interval'),
    ('train_dataloader.sampler.shufle', True, 'Did you mean shuffle'),
    ('val_evaluator.topkk', 1, 'Did you mean topk'),
    ('train_dataloader.dataset.evry', 5, 'Did you mean every'),
    ('train_dataloader.dataset.dataset.splitt', 'train', 'Did you mean split'),
    ('train_dataloader.dataset.dataset.pipeline', [{'type': 'RandomCrop', 'crop_sizes': 8}], 'Did you mean crop_size'),
    ('model.architecture.backbone.archs', 'b', 'Did you mean arch'),
    ('model.architecture.head.num_clases', 10, 'Did you mean num_classes'),
    # --- values that only a constructor knows to be wrong ---
    ('optim_wrapper.optimizer.betas', [1.5, 0.9], 'cannot be built'),
    ('optim_wrapper.optimizer.eps', -1., 'cannot be built'),
    ('optim_wrapper.paramwise_cfg', {'custom_keys': 3}, 'cannot be built'),
    ('joint.param_scheduler', [{'type': 'MultiStepLR'}], 'cannot be built'),
    ('joint.param_scheduler', [{'type': 'LinearLR', 'start_factor': 2.}], 'cannot be built'),
    ('joint.param_scheduler', [{'type': 'ConstantLR', 'factor': 'x'}], 'cannot be built')]


@pytest.mark.parametrize('key, value, match', CASES, ids=[f'{key}={value!r}' for key, value, _ in CASES])
def test_an_unknown_type_or_option_is_refused_with_the_nearest(refused, key, value, match):
    def change(config):
        if key == 'custom_hooks.2':
            config.custom_hooks.append(value)
        else:
            put(config, key, value)

    message = refused(change)
    assert match in message
    last = key.split('.')[-1] if not key[-1].isdigit() else key.split('.')[0]
    assert last in message


def test_a_function_of_the_host_is_found_without_a_warning(monkeypatch):
    said = []
    monkeypatch.setattr('mmengine.logging.print_log', lambda message, logger, level: said.append((level, message)))
    with DefaultScope.overwrite_default_scope('mmpretrain'):  # which registers no functions of its own
        assert check_part('collate_fn', FUNCTIONS, {'type': 'default_collate'}) is FUNCTIONS.get('default_collate')
    assert all(level == logging.DEBUG for level, _ in said), said
