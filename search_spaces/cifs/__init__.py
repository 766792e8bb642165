"""Channel-wise Importance-based Feature Selection (Yan et al., ICML 2021): its search space and its ablations."""

from search_spaces.cifs.figures import FIGURES
from search_spaces.cifs.space import CIFS, SPACE
from search_spaces.cifs.tables import TABLES

STUDIES = (*TABLES, *FIGURES)

__all__ = ["CIFS", "SPACE", "STUDIES"]
