"""PSPNet over a ResNet-101 -> 15 % of its backbone on ADE20K by AMD.

Paper: AMD: Automatic Multi-step Distillation of Large-scale Vision Models, ECCV 2024, supplement, section 7.
Row: no row.
Teacher: MMSegmentation's pspnet_r101-d8_4xb4-160k_ade20k-512x512, downloaded.
Command: tools/dist_train.sh configs/segmentation/psp_r101_ade20k.py 4
    Data elsewhere: --cfg-options data_root=/path/to/ADEChallengeData2016
Hardware: 4 GPUs. Hours: not measured.
Schedule: candidates refit in closed form, student 80,000 steps; SGD, 1e-2, 16 images a step, poly.
Measured: not run.
"""
_base_ = [
    '../_base_/models/psp_r101_150-classes.py',
    '../_base_/datasets/ade20k_512x512.py',
    '../_base_/methods/amd_segmentation.py',
    '../_base_/schedules/segmentation_sgd_80k.py',
    '../_base_/segmentation_runtime.py']

model = dict(
    architecture=_base_.architecture,
    teacher='https://download.openmmlab.com/mmsegmentation/v0.5/pspnet/pspnet_r101-d8_512x512_160k_ade20k/'
            'pspnet_r101-d8_512x512_160k_ade20k_20200615_100650-967c316f.pth')
compression = dict(
    student_scale=0.15,
    importance=dict(batch_size=1),  # of many sizes
    refit=dict(num_images=64, num_images_candidates=32, num_reported=50),  # crops of 4,096 positions
    recalibration=dict(batch_size=8))
auto_scale_lr = dict(base_batch_size=16)  # 4 processes
