"""Terms of the loss that rows of several tables name, by the networks that they are for."""

from typing import Any

KD = {'method.type': 'mmamd.KD'}  # the micro budget would have AMD
ALONE = {'model.losses.feat.weight': 0.}  # the task's loss and the logits, without hidden states
# Plain distillation as CRD's benchmark of CNNs has it.
LOGITS = {'model.losses.ce.weight': 0.1, 'model.losses.logit': dict(type='mmamd.LogitLoss', weight=0.9, temperature=4.)}
STAGES = [(f'backbone.layer{i}', f'backbone.layer{i}') for i in (1, 2, 3)]  # ends of the stages of CIFAR's ResNets


def instead(name: str, term: str, keeps_logits: bool = True, **options: Any) -> dict[str, Any]:
    """Overrides by which a term stands where the hidden states were.

    Args:
        name: Of the term.
        term: Its type.
        keeps_logits: Whether the logits are still compared; else the task's loss and the term are all.
        **options: Of the term.
    """
    logits = {} if keeps_logits else {'model.losses.logit.weight': 0.}
    return {**ALONE, **logits, f'model.losses.{name}': dict(type=f'mmamd.{term}', **options)}


DKD = {'model.losses.logit.weight': 0., 'model.losses.dkd': dict(type='mmamd.DKDLoss')}
CRD = instead('crd', 'CRDLoss', keeps_logits=False)
