"""The checklist of obfuscated gradients: whether an arm's robustness can be believed, from the evaluations in the record.

After Athalye et al. (ICML 2018, section 3.1) and Carlini et al. ("On Evaluating Adversarial Robustness", 2019). Every item
compares one trial's evaluations and measures of one checkpoint; where what it needs was not run, its status is ``not run``.
Accuracies are in percent.

Read ``evidence`` (what is compared) first, then ``items`` (what is checked) and ``checklist`` (an arm's status). Imports what
reads the record, and nothing that makes tables.
"""

from analysis.checks.checklist import Item, check, failures
from analysis.checks.evidence import SOUNDNESS
from analysis.checks.items import ITEMS, SMALLEST

__all__ = ["ITEMS", "SMALLEST", "SOUNDNESS", "Item", "check", "failures"]
