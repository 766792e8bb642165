"""Search a space: what is sampled, trained and chosen, with Optuna and Ray Tune.

Read ``options`` and ``request`` (what is asked for) first, then ``goals``, ``factors``, ``space`` and ``samplers`` (what it is
made of), ``loop`` and ``suggestion`` (one configuration after another), and ``results``. Imports nothing of Ray.
"""
