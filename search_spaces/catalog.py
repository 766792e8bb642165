"""The catalogue: every study of the papers, by name."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from fnmatch import fnmatchcase
from types import MappingProxyType

from search_spaces import training
from search_spaces.papers import afd, cas, cifs, fsr, infofeature
from search_spaces.space import Space
from search_spaces.study import Study

#: Every study by its primary name, as the papers were published, the tables of each before its figures.
STUDIES: Mapping[str, Study] = MappingProxyType(
    {
        study.name: study
        for study in (
            *cas.STUDIES,
            *cifs.STUDIES,
            *infofeature.STUDIES,
            *afd.STUDIES,
            *fsr.STUDIES,
        )
    }
)

#: The space of each paper's defense by the paper's name. Those that keep adversarial training can be searched over it too.
SPACES: Mapping[str, Space] = MappingProxyType(
    {
        space.name: space
        for space in (
            Space("cas", cas.CAS, (*cas.SPACE, *training.FACTORS), cas.PROFILES),
            Space("cifs", cifs.SEARCHED, (*cifs.SPACE, *training.FACTORS), cifs.PROFILES),
            Space("infofeature", {**infofeature.RESNET, **infofeature.INFOFEATURE}, infofeature.SPACE, infofeature.PROFILES),
            Space("afd", afd.AFD, afd.SPACE, afd.PROFILES),
            Space("fsr", {**fsr.RECIPE, **fsr.FSR}, (*fsr.SPACE, *training.FACTORS), fsr.PROFILES),
        )
    }
)

#: Tables and figures of the papers that are no studies, with the reason.
OUT: Mapping[str, str] = MappingProxyType(
    {
        "cas/figure-3": "a diagram of the module",
        "cas/table-7": "the losses in formulas",
        "cas/figure-7": "it shows two external ResNet-152 checkpoints on ImageNet, and trains nothing",
        "cifs/figure-2": "a diagram of the module",
        "infofeature/figure-1": "a sketch of decision boundaries",
        "infofeature/figure-2": "a diagram of the attack",
        "afd/figure-1": "it is a diagram",
        "afd/table-a1": "it lists settings, which are these studies'",
        "afd/table-a2": "it lists settings, which are these studies'",
        "afd/figure-a7": "it shows images, changed along the gradients of classes, and no measure keeps images; "
        "how large the gradients are is in afd/figure-4",
    }
)


class UnknownStudy(LookupError):
    """No study has this name, alias or pattern.

    ``explained``: whether the message says why, or which name was probably meant.
    """

    def __init__(self, pattern: str, studies: Iterable[Study]) -> None:
        if reason := OUT.get(pattern.lower()):
            self.explained = True
            super().__init__(f"{pattern!r} is left out: {reason}")
            return
        studies = tuple(studies)
        papers = list(dict.fromkeys(study.paper for study in studies))
        known = [*(name for study in studies for name in study.names), *(f"{paper}/*" for paper in papers)]
        close = get_close_matches(pattern.lower(), known, n=1)
        self.explained = bool(close)
        if close:
            hint = f"did you mean {close[0]!r}?"
        else:
            hint = f"there are studies of {', '.join(papers)}; `advsweep studies` lists all"
        super().__init__(f"unknown study {pattern!r}; {hint}")


def find(pattern: str, more: Iterable[Study] = ()) -> tuple[Study, ...]:
    """Find the studies that ``pattern`` names: first the catalogue's, in its order, then those of ``more``.

    ``pattern``: a name (``cifs/table-1``), an alias (``cifs/robustness``), or a shell pattern over both (``cifs/*``).

    Raises:
        UnknownStudy: ``pattern`` matches no study.
    """
    studies = (*STUDIES.values(), *more)
    found = tuple(study for study in studies if any(fnmatchcase(name, pattern) for name in study.names))
    if not found:
        raise UnknownStudy(pattern, studies)
    return found
