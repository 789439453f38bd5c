"""Backbones that can run as any candidate of their own family."""

from mmamd.backbones.cifar_light import CifarMobileNetV2, CifarShuffleNetV1, CifarShuffleNetV2
from mmamd.backbones.cifar_resnet import CifarResNet, MaskedCifarResNet
from mmamd.backbones.cifar_vgg import CifarVGG, MaskedCifarVGG
from mmamd.backbones.enlarged import Enlarged
from mmamd.backbones.masked_convnext import MaskedConvNeXt
from mmamd.backbones.masked_mobilenet_v2 import MaskedMobileNetV2
from mmamd.backbones.masked_resnet import MaskedResNet, MaskedResNetCIFAR
from mmamd.backbones.masked_swin import MaskedSwin
from mmamd.backbones.masked_vit import MaskedViT
from mmamd.backbones.wide_resnet import MaskedWideResNet, WideResNet

__all__ = ['CifarMobileNetV2', 'CifarResNet', 'CifarShuffleNetV1', 'CifarShuffleNetV2', 'CifarVGG', 'Enlarged',
           'MaskedCifarResNet', 'MaskedCifarVGG', 'MaskedConvNeXt', 'MaskedMobileNetV2', 'MaskedResNet',
           'MaskedResNetCIFAR', 'MaskedSwin', 'MaskedViT', 'MaskedWideResNet', 'WideResNet']
