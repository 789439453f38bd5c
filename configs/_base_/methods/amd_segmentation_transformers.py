"""AMD for segmentors over transformers: amd_segmentation.py with heads and hidden neurons in the place of filters."""
_base_ = ['amd_segmentation.py']

compression = dict(prune=('head', 'neuron'))
