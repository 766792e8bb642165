"""Golden values: what plans, methods and the demo came to before anything moved, and must come to still."""
