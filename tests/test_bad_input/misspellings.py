"""Misspelt keys: dotted key -> the one that was meant, None where none is near."""

TOP_LEVEL = {
    'compresion': 'compression', 'compresssion': 'compression', 'comression': 'compression', 'methd': 'method',
    'metod': 'method', 'studnet': 'student', 'studentt': 'student', 'pretrian': 'pretrain',
    'pre_train': 'pretrain', 'teachr': 'teacher', 'teacher_cofig': 'teacher_config', 'teacher_cach': 'teacher_cache',
    'optim_wraper': 'optim_wrapper', 'optim_wrappper': 'optim_wrapper', 'param_schedular': 'param_scheduler',
    'param_schedulers': 'param_scheduler', 'train_dataloder': 'train_dataloader', 'val_dataloder': 'val_dataloader',
    'test_dataloaders': 'test_dataloader', 'train_config': 'train_cfg', 'val_evalutor': 'val_evaluator',
    'test_evaluater': 'test_evaluator', 'custom_hook': 'custom_hooks', 'custom_hoks': 'custom_hooks',
    'default_hook': 'default_hooks', 'randomnes': 'randomness', 'data_preprocesor': 'data_preprocessor',
    'auto_scale_rl': 'auto_scale_lr', 'work_dirs': 'work_dir', 'log_levels': 'log_level', 'visualiser': 'visualizer',
    'start_form': 'start_from', 'env_cgf': 'env_cfg', 'dataroot': 'data_root'}
SECTIONS = {
    'joint.optim_wraper': 'optim_wrapper', 'joint.train_cgf': 'train_cfg', 'joint.loss': 'losses',
    'joint.param_schedular': 'param_scheduler', 'joint.custom_hook': 'custom_hooks', 'joint.averge': 'average',
    'student.lossses': 'losses', 'student.max_epochs': None, 'student.teacher_cach': 'teacher_cache',
    'student.train_dataloder': 'train_dataloader', 'teacher.train_cfgs': 'train_cfg', 'pretrain.train': 'trains',
    'compression.student_sale': 'student_scale', 'compression.num_candidate': 'num_candidates',
    'compression.scale': 'scales', 'compression.scaleby': 'scale_by', 'compression.prunes': 'prune',
    'compression.roundto': 'round_to', 'compression.importances': 'importance', 'compression.budgt': 'budget',
    'compression.recalibrate': 'recalibration', 'compression.importance.num_image': 'num_images',
    'compression.importance.methods': 'method', 'compression.refit.ridges': 'ridge',
    'compression.refit.classifer': 'classifier', 'compression.recalibration.batchsize': 'batch_size',
    'method.num_assistant': 'num_assistants', 'method.tune_epoch': 'tune_epochs', 'method.candidate': 'candidates',
    'model.lossses': 'losses', 'model.architectur': 'architecture', 'model.losses.ce.wieght': 'weight',
    'model.losses.logit.temprature': 'temperature', 'custom_hooks.0.smapler': 'sampler',
    'custom_hooks.0.num_randoms': 'num_random', 'custom_hooks.1.rulle': 'rule', 'custom_hooks.1.report_tests':
    'report_test', 'teacher_cache.view': 'views', 'randomness.sed': 'seed', 'auto_scale_lr.enabled': 'enable',
    'train_dataloader.batchsize': 'batch_size', 'train_dataloader.num_worker': 'num_workers',
    'env_cfg.cudnn_benchmrk': 'cudnn_benchmark', 'log_processor.window_sizes': 'window_size'}
CASES = [*TOP_LEVEL.items(), *SECTIONS.items()]
