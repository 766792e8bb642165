"""Channel-wise Importance-based Feature Selection (Yan et al., ICML 2021): its search space and its ablations."""

from search_spaces.papers.cifs.figures import FIGURES
from search_spaces.papers.cifs.space import CIFS, PROFILES, SEARCHED, SPACE
from search_spaces.papers.cifs.tables import TABLES

STUDIES = (*TABLES, *FIGURES)

__all__ = ["CIFS", "PROFILES", "SEARCHED", "SPACE", "STUDIES"]
