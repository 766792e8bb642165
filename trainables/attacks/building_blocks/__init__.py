"""What attacks are made of.

Read ``ball`` (where an attack may go), ``gradient`` (slopes of a network that is left as it was), ``losses`` and
``joint_objective`` (what is maximised, on one prediction and over all heads) and ``ascent`` (the loop) first. Then ``watch``,
``harm`` and ``closest`` (who is broken, and by what), ``surrogate`` and ``looks`` (what is differentiated in place of the
network), ``starts`` and ``global_generators`` (what attacks of other libraries need around them).
"""
