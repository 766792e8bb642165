"""Building blocks of attacks.

Read first ``ball`` (the allowed perturbations), ``gradient`` (gradients that leave the network unchanged), ``losses`` and
``joint_objective`` (what is maximised, on one prediction and over all heads) and ``ascent`` (the loop). Then ``watch``,
``harm`` and ``closest`` (which examples are broken, and by which image), ``surrogate`` and ``transforms`` (what is
differentiated in place of the network at the image), ``starts`` and ``global_generators`` (support for attacks of other
libraries).
"""
