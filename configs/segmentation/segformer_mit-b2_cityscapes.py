"""SegFormer-B2 -> 15 % of its backbone on Cityscapes by AMD.

Paper: AMD: Automatic Multi-step Distillation of Large-scale Vision Models, ECCV 2024, supplement, section 7.
Row: no row.
Teacher: MMSegmentation's segformer_mit-b2_8xb1-160k_cityscapes-1024x1024, downloaded.
Command: tools/dist_train.sh configs/segmentation/segformer_mit-b2_cityscapes.py 4
    Data elsewhere: --cfg-options data_root=/path/to/cityscapes
Hardware: 4 GPUs. Hours: not measured.
Schedule: candidates refit in closed form, student 80,000 steps; AdamW, 6e-5, 8 images a step, poly.
Measured: not run.
"""
_base_ = [
    '../_base_/models/segformer_mit-b2_19-classes.py',
    '../_base_/datasets/cityscapes_512x1024.py',
    '../_base_/methods/amd_segmentation_transformers.py',
    '../_base_/schedules/segmentation_adamw_80k.py',
    '../_base_/segmentation_runtime.py']

model = dict(
    architecture=_base_.architecture,
    teacher='https://download.openmmlab.com/mmsegmentation/v0.5/segformer/'
            'segformer_mit-b2_8x1_1024x1024_160k_cityscapes/'
            'segformer_mit-b2_8x1_1024x1024_160k_cityscapes_20211207_134205-6096669a.pth')
compression = dict(
    student_scale=0.15,
    importance=dict(batch_size=1),  # of 2048 x 1024
    refit=dict(num_images=64, num_images_candidates=32, num_reported=50))
auto_scale_lr = dict(base_batch_size=8)  # 4 processes
