"""Feature Separation and Recalibration (Kim et al., CVPR 2023): its search space and the ablations of its supplement."""

from search_spaces.papers.fsr.figures import FIGURES
from search_spaces.papers.fsr.space import FSR, PROFILES, RECIPE, SPACE
from search_spaces.papers.fsr.tables import TABLES

STUDIES = (*TABLES, *FIGURES)

__all__ = ["FSR", "PROFILES", "RECIPE", "SPACE", "STUDIES"]
