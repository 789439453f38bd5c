"""PSPNet over a ResNet-101 -> 15 % of its backbone on Cityscapes by AMD.

Paper: AMD: Automatic Multi-step Distillation of Large-scale Vision Models, ECCV 2024, supplement, section 7.
Row: PSPNet-R101 on Cityscapes; its figures were not reproduced, so none is quoted.
Teacher: MMSegmentation's pspnet_r101-d8_4xb2-80k_cityscapes-512x1024, downloaded.
Command: tools/dist_train.sh configs/segmentation/psp_r101_cityscapes.py 4
    Data elsewhere: --cfg-options data_root=/path/to/cityscapes
Hardware: 4 GPUs. Hours: not measured.
Schedule: candidates refit in closed form, student 80,000 steps; SGD, 1e-2, 8 images a step, poly.
Measured: not run.
"""
_base_ = [
    '../_base_/models/psp_r101_19-classes.py',
    '../_base_/datasets/cityscapes_512x1024.py',
    '../_base_/methods/amd_segmentation.py',
    '../_base_/schedules/segmentation_sgd_80k.py',
    '../_base_/segmentation_runtime.py']

model = dict(
    architecture=_base_.architecture,
    teacher='https://download.openmmlab.com/mmsegmentation/v0.5/pspnet/pspnet_r101-d8_512x1024_80k_cityscapes/'
            'pspnet_r101-d8_512x1024_80k_cityscapes_20200606_112211-e1e1100f.pth')
compression = dict(
    student_scale=0.15,
    importance=dict(batch_size=1),  # of 2048 x 1024
    refit=dict(num_images=64, num_images_candidates=32, num_reported=50),  # crops of 8,192 positions
    recalibration=dict(batch_size=8))
auto_scale_lr = dict(base_batch_size=8)  # 4 processes
