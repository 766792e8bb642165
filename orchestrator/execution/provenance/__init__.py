"""Where a trial's numbers come from: the user's folder, the machine, and what the training used of it.

``origin`` is taken once by the driver, ``machine`` once by each worker process, ``usage`` while a trial trains. Imports torch
and the record's files.
"""
