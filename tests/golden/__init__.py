"""Golden values of plans, methods and the demo, which a refactoring must not change."""
