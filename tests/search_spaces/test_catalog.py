"""Studies are found by name, alias and pattern, and a misspelt name is an error that suggests the right one."""

import pytest

from search_spaces.catalog import OUT, STUDIES, UnknownStudy, find

CAS = [f"cas/table-{table}" for table in (1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13)]
CAS += [f"cas/figure-{figure}" for figure in (1, 2, 4, 5, 6, 8, 9, 10)]
CIFS = [f"cifs/table-{table}" for table in (1, 2, 3, 4, 5, "b1", "b2", "b3", "b4", "c1", "c2", "d1", "e1", "e2", "e3")]
CIFS += ["cifs/cost", *(f"cifs/figure-{figure}" for figure in (1, 3, 4, "a1"))]
FSR = [
    f"fsr/{place}"
    for place in (*(f"table-s{n}" for n in range(1, 8)), *(f"figure-s{n}" for n in ("1a", "1b", "1c", "2a", "2b")))
]
INFOFEATURE = [
    f"infofeature/{place}" for place in (*(f"table-{n}" for n in range(1, 7)), "figure-3", "figure-4", "lambda", "iterations")
]
AFD = [
    f"afd/{slug}"
    for slug in (
        *("table-1", "table-2", *(f"table-a{n}" for n in range(3, 8)), "recipe", "loss"),
        *(f"figure-{n}" for n in (2, 3, 4, "a1", "a2", "a3", "a4", "a5", "a6", "a8", "a9", "a10")),
    )
]
PAPERS = ", ".join(dict.fromkeys(study.paper for study in STUDIES.values()))


def names(pattern: str) -> list[str]:
    return [study.name for study in find(pattern)]


def test_no_name_is_taken_twice() -> None:
    every = [name for s in STUDIES.values() for name in (s.name, *(f"{s.paper}/{alias}" for alias in s.aliases))]
    assert len(set(every)) == len(every)
    assert all(name == study.name for name, study in STUDIES.items())


def test_every_table_and_figure_of_cas_and_cifs_is_a_study_or_left_out() -> None:
    cas = {*(f"cas/table-{n}" for n in range(1, 14)), *(f"cas/figure-{n}" for n in range(1, 11))}
    cifs = {f"cifs/table-{n}" for n in (1, 2, 3, 4, 5, "b1", "b2", "b3", "b4", "c1", "c2", "d1", "e1", "e2", "e3")}
    cifs |= {f"cifs/figure-{n}" for n in (1, 2, 3, 4, "a1", "a2")}
    answered = {name for study in STUDIES.values() for name in (study.name, *(f"{study.paper}/{a}" for a in study.aliases))}
    assert not OUT.keys() & answered
    assert cas | cifs <= OUT.keys() | answered


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_is_found_by_its_name_and_its_aliases(name: str) -> None:
    study = STUDIES[name]
    assert names(name) == [name]
    assert study.aliases
    for alias in study.aliases:
        assert names(f"{study.paper}/{alias}") == [name]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*", [*CAS, *CIFS, *INFOFEATURE, *AFD, *FSR]),
        ("cifs/*", CIFS),
        ("cas/*", CAS),
        ("fsr/*", FSR),
        ("afd/*", AFD),
        ("afd/attacks-*", ["afd/figure-3", "afd/figure-a1", "afd/figure-a2"]),
        ("infofeature/*", INFOFEATURE),
        ("*/iterations", ["infofeature/iterations", "fsr/figure-s2a"]),
        ("*/beta", ["cas/figure-8", "cifs/table-e1"]),
        ("cifs/table-e?", ["cifs/table-e1", "cifs/table-e2", "cifs/table-e3"]),
        ("cifs/[cft]*", CIFS),  # some match by name and by alias, and come once
        ("cifs/figure-a2", ["cifs/figure-3"]),
        # A figure of several panels.
        ("fsr/figure-s1", ["fsr/figure-s1a", "fsr/figure-s1b", "fsr/figure-s1c"]),
        ("fsr/figure-s2", ["fsr/figure-s2a", "fsr/figure-s2b"]),
    ],
)
def test_a_pattern_matches_names_and_aliases_in_the_catalogues_order(pattern: str, expected: list[str]) -> None:
    assert names(pattern) == expected


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("cifs/robustnes", "unknown study 'cifs/robustnes'; did you mean 'cifs/robustness'?"),
        ("CIFS/Table-E1", "unknown study 'CIFS/Table-E1'; did you mean 'cifs/table-e1'?"),
        ("cifs", "unknown study 'cifs'; did you mean 'cifs/*'?"),
        ("zzz", f"unknown study 'zzz'; there are studies of {PAPERS}; `advsweep studies` lists all"),
        ("", f"unknown study ''; there are studies of {PAPERS}; `advsweep studies` lists all"),
        ("cifs/figure-2", "'cifs/figure-2' is left out: a diagram of the module"),
        ("CAS/Figure-3", "'CAS/Figure-3' is left out: a diagram of the module"),
    ],
)
def test_an_unknown_name_is_answered_with_what_there_is(pattern: str, message: str) -> None:
    with pytest.raises(UnknownStudy) as error:
        find(pattern)
    assert str(error.value) == message
    assert isinstance(error.value, LookupError)
