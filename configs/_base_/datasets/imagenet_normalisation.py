"""How images are normalised for weights that were trained on ImageNet with its own mean and deviation."""
normalisation = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375])  # RGB, 0-255
