"""KD-Zero: the distiller of a pair of networks is evolved (Li et al., NeurIPS 2023).

    space.py       genomes as eight genes, and the probabilities that each is drawn by
    variation.py   drawing, crossing and mutating genes
    rejection.py   distillers that cannot train, found before they are tried
    fitness.py     what a distiller has made of a student, as one number
    shrinkage.py   operations that fail are drawn less often
    evolution.py   what is tried next, from all that has been tried
    store.py       where trials are kept, and whose turn it is to begin one
    study.py       the search itself
    proxies.py     students that are trained for a short while, one a distiller
    stage.py       the search as a stage of a run
"""
