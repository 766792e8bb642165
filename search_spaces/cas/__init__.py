"""Channel-wise Activation Suppressing (Bai et al., ICLR 2021): its search space and its ablations."""

from search_spaces.cas.figures import FIGURES
from search_spaces.cas.space import CAS, SPACE
from search_spaces.cas.tables import TABLES

STUDIES = (*TABLES, *FIGURES)

__all__ = ["CAS", "SPACE", "STUDIES"]
