"""What tables of a ViT share: its recipes and teachers, the refit of the micro budget, and AMD by refit and jointly.

A row of AMD names its rule, which recipes do not have in common: the published one is NPSD's best, ours the cheapest
that it cannot tell from the best.
"""

RECIPES = {'smoke': 'amd/vit-tiny_digits.py', 'micro': 'amd/vit-micro_cifar100.py', 'full': 'amd/vit-b_cifar100.py'}
TEACHERS = {'micro': 'data/vit-micro_cifar100.pth'}
REFIT = {'compression.refit': dict(num_reported=0)}

RULE = 'custom_hooks.1.rule'
PUBLISHED_RULE = {RULE: 'npsd'}

FROM_REFIT = {'method': dict(type='mmamd.AMD', candidates='refit'), RULE: 'npsd_cost'}
OF_REFIT = ('Candidates of AMD are refit and chosen by npsd_cost, which is the default here; the paper trains them '
            'jointly.')
# From the weights that all other rows start from; the paper has no refit, and starts from the teacher's.
JOINT_FROM_REFIT = {'method': dict(type='mmamd.AMD', candidates='joint', start='smallest'), **PUBLISHED_RULE}
OF_JOINT = ('All rows start from the same weights, refit where the recipe has compression.refit; the paper has none.',
         'A joint step trains the smallest candidate and a drawn one, where Algorithm 1 trains all.')
