"""What every data set promises."""

from pathlib import Path
from typing import ClassVar

import pytest
import torch

from advsweep.testing.contract import Contract
from trainables import config
from trainables.config.terms.registry import DATA
from trainables.data import DataNotFound, DataSource, Examples, available, fetch
from trainables.plugins.promises import check_examples, global_generators_untouched


class DatasetContract(Contract):
    """Tests of a data set, given as ``config.Data(dataset="mine")``. ``data_dir``: where its files are, if it has any."""

    spec: ClassVar[config.Data]
    data_dir: ClassVar[str] = "data"

    def loaded(self, spec: config.Data) -> tuple[Examples, Examples]:
        """Its training and test examples, read anew."""
        return _source(spec).load(spec.dataset, self.data_dir, False)

    def test_examples_have_the_shape_that_is_known(self, spec: config.Data) -> None:
        train, test = self.loaded(spec)
        check_examples("training", train, spec.info, spec.info.train)
        check_examples("test", test, spec.info, spec.info.test)

    def test_it_is_the_same_whenever_it_is_read(self, spec: config.Data) -> None:
        with global_generators_untouched():
            one, other = self.loaded(spec), self.loaded(spec)
        for a, b in zip(one, other, strict=True):
            assert torch.equal(a.images, b.images), "images must be the same, in the same order"
            assert torch.equal(a.labels, b.labels), "labels must be the same, in the same order"

    def test_every_class_is_there_to_learn_and_to_test(self, spec: config.Data) -> None:
        for examples in self.loaded(spec):
            found = sorted({*examples.labels.tolist()})
            assert found == list(range(spec.info.classes)), f"there must be examples of each class, and are of {found} alone"

    def test_files_that_are_not_there_are_missed(self, spec: config.Data, tmp_path: Path) -> None:
        """Nodes are asked before a sweep starts; what has no files is everywhere."""
        runtime = config.Runtime(data_dir=str(tmp_path))
        if _source(spec).exists is None:
            assert available(spec, runtime)
            fetch(spec.dataset, runtime)
            return
        assert not available(spec, runtime), "files says that they are in an empty folder"
        with pytest.raises(DataNotFound):
            _source(spec).load(spec.dataset, str(tmp_path), False)


def _source(spec: config.Data) -> DataSource:
    source: DataSource = DATA.load(spec.dataset)
    return source
