"""Adversarial training with an informative feature-based attack (Yan & Yeung): its search space and its ablations."""

from search_spaces.papers.infofeature.figures import FIGURES
from search_spaces.papers.infofeature.space import INFOFEATURE, PROFILES, RESNET, SPACE
from search_spaces.papers.infofeature.tables import TABLES

STUDIES = (*TABLES, *FIGURES)

__all__ = ["INFOFEATURE", "PROFILES", "RESNET", "SPACE", "STUDIES"]
