"""What to ablate: factors, studies and the papers' printed numbers. Pure data; imports optuna.distributions only."""
