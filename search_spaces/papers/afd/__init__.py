"""Adversarial Feature Desensitization (Bashivan et al., submitted to ICLR 2021): its search space and its ablations.

It was published at NeurIPS 2021, with public code of which some settings differ. Where the submission is silent or its table is
garbled they are the code's.
"""

from search_spaces.papers.afd.figures import FIGURES
from search_spaces.papers.afd.space import AFD, PROFILES, SPACE
from search_spaces.papers.afd.tables import TABLES

STUDIES = (*TABLES, *FIGURES)

__all__ = ["AFD", "PROFILES", "SPACE", "STUDIES"]
