"""What tables of a ViT have in common: its recipes and teachers, and the refit of the micro budget."""

RECIPES = {'smoke': 'amd/vit-tiny_digits.py', 'micro': 'amd/vit-micro_cifar100.py', 'full': 'amd/vit-b_cifar100.py'}
TEACHERS = {'micro': 'data/vit-micro_cifar100.pth'}
REFIT = {'compression.refit': dict(num_reported=0)}
