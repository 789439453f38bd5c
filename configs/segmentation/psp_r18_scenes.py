"""PSPNet over a small ResNet-18 -> 15 % of its backbone on generated street scenes by AMD: minutes on a CPU.

Paper: AMD: Automatic Multi-step Distillation of Large-scale Vision Models, ECCV 2024, supplement, section 7.
Row: no row; generated scenes, to see every stage at work.
Teacher: configs/segmentation/teacher_psp_r18_scenes.py, which the run trains as its first stage.
Command: bash tools/quickstart.sh --seg      (or python tools/train.py configs/segmentation/psp_r18_scenes.py)
Hardware: one CPU core. Minutes: not measured.
Schedule: candidates refit in closed form, student 10 epochs; SGD, 5e-2, 8 images a step, poly; m = 4 (ours).
Measured: not run.
"""
_base_ = [
    '../_base_/models/psp_r18-quarter_4-classes.py',
    '../_base_/datasets/street_scenes_64x48.py',
    '../_base_/methods/amd_segmentation.py',
    '../_base_/segmentation_runtime.py']

teacher_config = '{{ fileDirname }}/teacher_psp_r18_scenes.py'  # trained first: model.teacher names none
model = dict(architecture=_base_.architecture, teacher=None)
compression = dict(
    student_scale=0.15,
    num_candidates=4,
    importance=dict(num_images=64),
    refit=dict(num_images=64, num_images_candidates=32),
    recalibration=dict(num_images=64))

optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.05, momentum=0.9, weight_decay=5e-4))
auto_scale_lr = dict(base_batch_size=8)
joint = dict(
    train_cfg=dict(by_epoch=True, max_epochs=8),
    param_scheduler=[dict(type='PolyLR', power=0.9, eta_min=1e-4, by_epoch=True, convert_to_iter_based=True)])
student = dict(
    train_cfg=dict(by_epoch=True, max_epochs=10),
    param_scheduler=[dict(type='PolyLR', power=0.9, eta_min=1e-4, by_epoch=True, convert_to_iter_based=True)])
