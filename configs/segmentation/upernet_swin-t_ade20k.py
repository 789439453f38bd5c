"""UPerNet over a Swin-T -> 15 % of its backbone on ADE20K by AMD.

Paper: AMD: Automatic Multi-step Distillation of Large-scale Vision Models, ECCV 2024, supplement, section 7.
Row: no row.
Teacher: MMSegmentation's swin-tiny-patch4-window7-in1k-pre_upernet_8xb2-160k_ade20k-512x512, downloaded.
Command: tools/dist_train.sh configs/segmentation/upernet_swin-t_ade20k.py 4
    Data elsewhere: --cfg-options data_root=/path/to/ADEChallengeData2016
Hardware: 4 GPUs. Hours: not measured.
Schedule: candidates refit in closed form, student 80,000 steps; AdamW, 6e-5, 16 images a step, poly.
Measured: not run.
"""
_base_ = [
    '../_base_/models/upernet_swin-t_150-classes.py',
    '../_base_/datasets/ade20k_512x512.py',
    '../_base_/methods/amd_segmentation_transformers.py',
    '../_base_/schedules/segmentation_adamw_80k.py',
    '../_base_/segmentation_runtime.py']

model = dict(
    architecture=_base_.architecture,
    teacher='https://download.openmmlab.com/mmsegmentation/v0.5/swin/'
            'upernet_swin_tiny_patch4_window7_512x512_160k_ade20k_pretrain_224x224_1K/'
            'upernet_swin_tiny_patch4_window7_512x512_160k_ade20k_pretrain_224x224_1K_20210531_112542-e380ad3e.pth')
compression = dict(
    student_scale=0.15,
    importance=dict(batch_size=1),  # of many sizes
    refit=dict(num_images=64, num_images_candidates=32, num_reported=50))
auto_scale_lr = dict(base_batch_size=16)  # 4 processes
