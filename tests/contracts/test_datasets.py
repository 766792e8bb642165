"""What every data set promises; of those whose files have to be fetched, what they do without."""

from advsweep.testing import DatasetContract
from trainables import config
from trainables.config.terms.registry import DATA


class TestDatasets(DatasetContract):
    def specs(self):
        return [config.Data(dataset=name) for name, entry in DATA.entries.items() if entry.load().exists is None]


class TestAbsentDatasets(DatasetContract):
    test_examples_have_the_shape_that_is_known = None
    test_it_is_the_same_whenever_it_is_read = None
    test_every_class_is_there_to_learn_and_to_test = None

    def specs(self):
        return [config.Data(dataset=name) for name, entry in DATA.entries.items() if entry.load().exists is not None]
