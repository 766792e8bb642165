"""Networks and data sets have the same names in the configuration and in the tables."""

from typing import get_args

from trainables import config
from trainables.data import LOADERS
from trainables.models import MODELS


def test_models():
    assert set(get_args(config.Model.model_fields["name"].annotation)) == config.BLOCKS.keys() == MODELS.keys()


def test_data_sets():
    assert set(get_args(config.Data.model_fields["dataset"].annotation)) == config.DATASETS.keys() == LOADERS.keys()
