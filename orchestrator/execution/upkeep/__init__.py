"""What a driver does for a storage while it runs trials, or where none is left to run: claims, manifests, segments and views.

Read ``holding`` first, then ``views``, which it imports only if MLflow and Optuna are updated, and ``shown``. Imports no Ray.
"""
