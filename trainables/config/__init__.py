"""The configuration of a trial, and of its evaluations and measurements: every setting that changes a number.

A :class:`TrialConfig` is a frozen value; :func:`trial_key` and :func:`evaluation_key` derive identities from it. Read ``trial``
first, then ``terms`` (what specifications are written with). Imports no torch, so that thousands of trials are planned at once.
"""

from trainables.config.architecture import Architecture, Place
from trainables.config.attacks import Attack
from trainables.config.attacks.base import AttackSpec, Natural, Norm, Sees, View
from trainables.config.attacks.black_box import NAttack, Noise, Square
from trainables.config.attacks.composite import AsTraining, AutoAttack, Transfer
from trainables.config.attacks.gradient import CW, DIFGSM, FGSM, MD, MIM, PGD, AutoPGD, AvgPGD
from trainables.config.attacks.minimal import CWL2, DDN, FAB, Boundary, BrendelBethge, DeepFool
from trainables.config.canonical import canonical_attack, heads
from trainables.config.data import DATASETS, Data, DatasetInfo
from trainables.config.entrance.parsing import reopen
from trainables.config.identity import (
    attack_key,
    attack_versions,
    canonical_measure,
    evaluation_key,
    evaluation_stream,
    is_prefix,
    measure_key,
    measurement_key,
    measurement_stream,
    older_keys,
    present_versions,
    training_versions,
    trial_key,
    trial_keys,
)
from trainables.config.measure import (
    TSNE,
    Activations,
    ClassGradients,
    Dimensions,
    Measure,
    Perturbations,
    Sensitivity,
    Soundness,
)
from trainables.config.model import Model
from trainables.config.module import CAS, CIFS, FSR, KWTA, SAP, Module, NoModule
from trainables.config.objective import AFD, ALP, AT, MART, PCL, TRADES, FeatureMatching, L2Matching, Objective, Standard
from trainables.config.runtime import Runtime
from trainables.config.terms.aim import Aim
from trainables.config.terms.importance import Sigmoid, Softmax, Softplus
from trainables.config.terms.spec import Count, NonNegative, Positive, Spec
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
    "CAS",
    "CIFS",
    "CW",
    "CWL2",
    "DATASETS",
    "DDN",
    "DIFGSM",
    "EMA",
    "FAB",
    "FGSM",
    "FGSMRS",
    "FSR",
    "KWTA",
    "MART",
    "MD",
    "MIM",
    "PCL",
    "PGD",
    "SAP",
    "SWA",
    "TRADES",
    "TSNE",
    "Activations",
    "AdversarialInterpolation",
    "Aim",
    "Architecture",
    "AsTraining",
    "Attack",
    "AttackSpec",
    "AutoAttack",
    "AutoPGD",
    "AvgPGD",
    "BatchNorm",
    "Boundary",
    "BrendelBethge",
    "ClassGradients",
    "Cosine",
    "Count",
    "Data",
    "DatasetInfo",
    "DeepFool",
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
    "NAttack",
    "Natural",
    "NoModule",
    "Noise",
    "NonNegative",
    "Norm",
    "Objective",
    "OneCycle",
    "Perturbations",
    "Place",
    "Positive",
    "Precision",
    "Runtime",
    "Sees",
    "Selection",
    "Sensitivity",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Soundness",
    "Spec",
    "Square",
    "Standard",
    "Training",
    "TrainingAttack",
    "TrainingPGD",
    "Transfer",
    "TrialConfig",
    "View",
    "attack_key",
    "attack_versions",
    "canonical_attack",
    "canonical_measure",
    "evaluation_key",
    "evaluation_stream",
    "heads",
    "is_prefix",
    "measure_key",
    "measurement_key",
    "measurement_stream",
    "older_keys",
    "present_versions",
    "training_versions",
    "trial_key",
    "trial_keys",
]

# Fields that accept any registered module, attack, ... were defined before the last one was registered.
reopen()
