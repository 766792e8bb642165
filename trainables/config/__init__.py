"""What one trial is: every setting that changes its weights, and nothing else.

A :class:`TrialConfig` is a frozen value; :func:`trial_key` and :func:`evaluation_key` are the identities made from it.
This package imports no torch, so that a plan of thousands of trials is made at once.
"""

from trainables.config.attack import CW, FGSM, PGD, Attack, Natural
from trainables.config.data import DATASETS, Data, DatasetInfo
from trainables.config.identity import (
    NUMERICS,
    attack_key,
    canonical_attack,
    canonical_measure,
    evaluation_key,
    heads,
    measure_key,
    measurement_key,
    trial_key,
)
from trainables.config.measure import TSNE, Activations, ClassGradients, Dimensions, Measure, Perturbations, Sensitivity
from trainables.config.model import BLOCKS, Model
from trainables.config.module import CAS, CIFS, FSR, KWTA, SAP, Module, NoModule, Sigmoid, Softmax, Softplus
from trainables.config.objective import AFD, ALP, AT, MART, PCL, TRADES, FeatureMatching, L2Matching, Objective, Standard
from trainables.config.runtime import Runtime
from trainables.config.spec import Count, NonNegative, Positive, Spec
from trainables.config.training import EMA, SWA, Cosine, MultiStep, OneCycle, Precision, Selection, Training
from trainables.config.training_attack import (
    APGD,
    FGSMRS,
    AdversarialInterpolation,
    BatchNorm,
    FeatureScattering,
    Friendly,
    InfoFeature,
    TrainingAttack,
    TrainingPGD,
)
from trainables.config.trial import TrialConfig

__all__ = [
    "AFD",
    "ALP",
    "APGD",
    "AT",
    "BLOCKS",
    "CAS",
    "CIFS",
    "CW",
    "DATASETS",
    "EMA",
    "FGSM",
    "FGSMRS",
    "FSR",
    "KWTA",
    "MART",
    "NUMERICS",
    "PCL",
    "PGD",
    "SAP",
    "SWA",
    "TRADES",
    "TSNE",
    "Activations",
    "AdversarialInterpolation",
    "Attack",
    "BatchNorm",
    "ClassGradients",
    "Cosine",
    "Count",
    "Data",
    "DatasetInfo",
    "Dimensions",
    "FeatureMatching",
    "FeatureScattering",
    "Friendly",
    "InfoFeature",
    "L2Matching",
    "Measure",
    "Model",
    "Module",
    "MultiStep",
    "Natural",
    "NoModule",
    "NonNegative",
    "Objective",
    "OneCycle",
    "Perturbations",
    "Positive",
    "Precision",
    "Runtime",
    "Selection",
    "Sensitivity",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Spec",
    "Standard",
    "Training",
    "TrainingAttack",
    "TrainingPGD",
    "TrialConfig",
    "attack_key",
    "canonical_attack",
    "canonical_measure",
    "evaluation_key",
    "heads",
    "measure_key",
    "measurement_key",
    "trial_key",
]
