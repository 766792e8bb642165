"""Studies are found by name, alias and pattern, and a slip of the keyboard is answered with what was meant."""

import pytest

from search_spaces.catalog import LEFT_OUT, STUDIES, UnknownStudy, find

CIFS = [f"cifs/table-{table}" for table in ("1", "5", "b2", "b3", "e1", "e2", "e3")]
CAS = ["cas/table-3", "cas/figure-8"]
AFD = [
    f"afd/{slug}"
    for slug in (
        *("table-1", "figure-2", "table-2", "figure-3", "figure-4"),
        *(f"table-a{n}" for n in range(3, 8)),
        *(f"figure-a{n}" for n in (1, 2, 3, 4, 5, 6, 8, 9, 10)),
        "loss",
    )
]


def names(pattern: str) -> list[str]:
    return [study.name for study in find(pattern)]


def test_no_name_is_taken_twice() -> None:
    every = [name for s in STUDIES.values() for name in (s.name, *(f"{s.paper}/{alias}" for alias in s.aliases))]
    assert len(set(every)) == len(every)
    assert all(name == study.name for name, study in STUDIES.items())


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
        ("*", [*CAS, *CIFS, *AFD]),
        ("cifs/*", CIFS),
        ("cas/*", CAS),
        ("afd/*", AFD),
        ("afd/attacks-*", ["afd/figure-3", "afd/figure-a1", "afd/figure-a2"]),
        ("*/beta", ["cas/figure-8", "cifs/table-e1"]),
        ("cifs/table-e?", ["cifs/table-e1", "cifs/table-e2", "cifs/table-e3"]),
        ("cifs/[rt]*", CIFS),  # some match by name and by alias, and come once
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
        ("zzz", "unknown study 'zzz'; there are studies of cas, cifs, afd; `advsweep studies` lists all"),
        ("", "unknown study ''; there are studies of cas, cifs, afd; `advsweep studies` lists all"),
    ],
)
def test_an_unknown_name_is_answered_with_what_there_is(pattern: str, message: str) -> None:
    with pytest.raises(UnknownStudy) as error:
        find(pattern)
    assert str(error.value) == message
    assert isinstance(error.value, LookupError)


def test_what_is_left_out_is_told_with_the_reason() -> None:
    with pytest.raises(UnknownStudy, match=r"'afd/Figure-A7'; it is left out: it shows images"):
        find("afd/Figure-A7")
    assert LEFT_OUT.keys().isdisjoint(STUDIES)
