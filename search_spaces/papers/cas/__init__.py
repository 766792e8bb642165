"""Channel-wise Activation Suppressing (Bai et al., ICLR 2021): its search space and its ablations."""

from search_spaces.papers.cas.figures import FIGURES
from search_spaces.papers.cas.space import CAS, PROFILES, SPACE
from search_spaces.papers.cas.tables import TABLES

STUDIES = (*TABLES, *FIGURES)

__all__ = ["CAS", "PROFILES", "SPACE", "STUDIES"]
