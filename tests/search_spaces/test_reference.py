"""Every file of printed numbers: its shape, and numbers read again from the papers, from the bottom of each table up."""

from importlib.resources import files
from typing import NamedTuple

import pytest

from search_spaces.printed import Number, printed


class Shape(NamedTuple):
    """The shape of a table in its paper: factors, rows, columns from left to right, and its number of printed numbers."""

    factors: str
    rows: int
    columns: tuple[str, ...]
    numbers: int


CAS = ("Natural", "FGSM", "PGD-20", "CW∞")
CIFS = ("Natural", "FGSM", "PGD-20", "C&W", "PGD-100")
CIFS_BRIEF = ("Natural", "FGSM", "PGD-20", "PGD-100")
AFD = ("Natural", "PGD-L∞ (WB)", "FGSM (WB)", "PGD-L∞ (BB)", "FGSM (BB)")
FSR = ("Natural", "FGSM", "PGD-20", "PGD-100", "C&W", "Ensemble")
INFOFEATURE = ("Natural", "FGSM", "PGD-7", "PGD-20", "CW-20")
ITERATIONS = tuple(f"{n}-iter {attack}" for n in (2, 5, 7, 10, 20) for attack in ("CW", "InfoFeature"))

SHAPES = {
    "afd-table-1": Shape("dataset network objective restart", 12 + 2, AFD, 12 * 5 + 2),  # and the best of three runs
    "afd-table-1-cited": Shape("dataset network defense", 16, AFD, 4 * 5 + 3 * 3 + 9 * 2),
    "afd-table-2": Shape(
        "dataset objective", 12, ("PGD-L∞", "PGD-L2", "PGD-L1", "FGSM", "MIM", "DDN", "DeepFool", "C&W"), 12 * 8
    ),
    "afd-table-a3": Shape("dataset objective", 12, ("AutoAttack", "Boundary Attack", "B&B"), 12 * 3 - 4),  # NT on CIFAR
    "afd-table-a4": Shape("dataset objective", 12, ("AT Transfer", "TRADES Transfer"), 12 * 2 - 4),
    "afd-table-a5": Shape("dataset objective", 12, ("Units", "Dims"), 12 * 2),
    "afd-table-a6": Shape("discriminator", 3, ("PGD-L∞ (WB)",), 3),
    "cas-figure-8": Shape("beta", 1, CAS, 4),
    "cas-figure-9": Shape("objective module", 2, ("Natural",), 2),
    "cas-table-1": Shape("defense", 4, (*CAS, "Avg-PGD-100", "EOT"), 4 * 6 - 4),
    "cas-table-2": Shape("suppression", 3, CAS, 3 * 4),
    "cas-table-3": Shape("block", 4, CAS, 4 * 4),
    "cas-table-4": Shape("objective module", 6, CAS, 6 * 4),
    "cas-table-5": Shape("dataset objective module", 12, CAS, 12 * 4),
    "cas-table-6": Shape("dataset objective module", 12, ("PGD-20 (BB)", "CW∞ (BB)", "NAttack"), 12 * 3),
    "cas-table-8": Shape("objective module", 6, CAS, 6 * 4 * 2),
    "cas-table-9": Shape("objective module", 6, CAS, 6 * 4 * 2),
    "cas-table-10": Shape("dataset objective module", 12, CAS, 12 * 4),
    "cas-table-11": Shape("objective module", 6, ("AutoAttack",), 6 * 2),
    "cas-table-12": Shape("objective module", 6, ("MD (CE)", "MD (CAS)", "MD (CE+CAS)"), 3 * 3),
    "cas-table-13": Shape("objective", 3, ("0.25 ε", "0.5 ε", "ε", "2 ε", "4 ε"), 3 * 5),
    "cifs-cost": Shape("defense", 2, ("seconds per epoch", "seconds per PGD-20 evaluation"), 2 * 2),
    "cifs-figure-1": Shape("objective", 2, ("PGD-20", "PGD-20 (automobile)", "PGD-20 (cat)"), 4),
    "cifs-figure-3": Shape("imgf", 4, ("PGD-20",), 4),
    "cifs-figure-4": Shape("defense", 2, ("Natural", "PGD-20"), 2 * 2 * 2),
    "cifs-figure-a1": Shape("imgf", 2, ("PGD-20 (cat)", "PGD-20 (deer)"), 3),
    "cifs-table-1": Shape("network defense", 6, CIFS, 6 * 5),
    "cifs-table-2": Shape("defense", 3, CIFS, 3 * 5),
    "cifs-table-3": Shape("network defense", 4, CIFS, 4 * 5),
    "cifs-table-4": Shape("defense", 1, tuple(f"{attack} top-{k}" for attack in ("FGSM", "PGD-20") for k in (1, 2, 3)), 2 * 3),
    "cifs-table-5": Shape("top_k", 4, ("Natural/Final", "CIFS/CIFS", "CIFS/Final", "Adap/Final"), 4 * 4 - 2),
    "cifs-table-b1": Shape("network defense", 6, ("AutoAttack",), 6),
    "cifs-table-b2": Shape("network defense", 6, CIFS, 6 * 5),
    "cifs-table-b3": Shape("defense beta_atk", 1 + 2 * 9, CIFS, 5 + 2 * (9 * 4 + 1)),
    "cifs-table-b4": Shape("objective module", 6, CIFS_BRIEF, 6 * 4),
    "cifs-table-c1": Shape("defense", 3, ("AutoAttack",), 3),
    "cifs-table-c2": Shape("defense", 3, CIFS, 3 * 5),
    "cifs-table-d1": Shape("defense", 3, ("Natural", "FGSM", "PGD-40", "PGD-100"), 3 * 4 * 2),
    "cifs-table-e1": Shape("beta", 6, CIFS_BRIEF, 6 * 4),
    "cifs-table-e2": Shape("positions", 4, CIFS_BRIEF, 4 * 4),
    "cifs-table-e3": Shape("probes", 3, CIFS_BRIEF, 3 * 4),
    "fsr-figure-s1a": Shape("tau", 1, FSR, 6),
    "fsr-figure-s1b": Shape("lambda_sep", 1, FSR, 6),
    "fsr-figure-s1c": Shape("lambda_rec", 1, FSR, 6),
    "fsr-figure-s2a": Shape("module", 2, ("PGD-20", "PGD-100"), 2 * 2),
    "fsr-figure-s2b": Shape("module", 2, ("Natural", "ε", "unbounded"), 2 * 3),
    "fsr-table-s1": Shape("objective module", 6, FSR, 6 * 6),
    "fsr-table-s2": Shape("objective module", 6, FSR, 6 * 6),
    "fsr-table-s3": Shape("objective module", 6, FSR, 6 * 6),
    "fsr-table-s4": Shape("block", 5, FSR, 5 * 6),
    "fsr-table-s5": Shape("separation", 5, FSR, 5 * 6),
    "fsr-table-s6": Shape("mask", 2, (*FSR[1:], "AutoAttack"), 2 * 6),
    "fsr-table-s7": Shape("strategy", 4, FSR[1:], 4 * 5),
    "infofeature-iterations": Shape("iterations", 1, INFOFEATURE, 5),
    "infofeature-lambda": Shape("lambda", 2, INFOFEATURE, 2 * 5),
    "infofeature-table-1": Shape("defense", 7, INFOFEATURE, 7 * 5),
    "infofeature-table-2": Shape(
        "defense",
        2,
        ("1-iter FeaScatter", "1-iter AdvInterp", "1-iter CW", "1-iter InfoFeature", *ITERATIONS),
        2 * 14,
    ),
    "infofeature-table-3": Shape("defense restart", 8, INFOFEATURE, 8 * 5),
    "infofeature-table-4": Shape("defense restart", 5, INFOFEATURE, 5 * 5),
    "infofeature-table-5": Shape("defense restart", 5, INFOFEATURE, 5 * 5),
    "infofeature-table-6": Shape(
        "defense",
        3,
        ("Random Noise", "PGD-10 (Standard)", "CW-10 (Standard)", "PGD-10 (Madry)", "CW-10 (Madry)"),
        3 * 5,
    ),
}

#: Not accuracies: seconds, dimensions, distances. An area under a curve is at most 1.
NOT_PERCENT = {"cifs-cost", "afd-table-a5", "infofeature-table-2"}

PrintedCell = float | tuple[float, float] | None

#: Rows read again, from left to right: (labels, checkpoint) -> cells; a pair is mean and std, None an empty cell.
READ_AGAIN: dict[str, dict[tuple[str, ...], tuple[PrintedCell, ...]]] = {
    # CAS, Table 2; CIFS, Tables 1 and B.2 and section 4.2; FSR, Tables S4 and S5 and section 3; InfoFeature, Table 1.
    "cas-figure-8": {("β = 0", "last"): (84.27, 60.46, 46.50, 48.97)},
    "cifs-figure-4": {
        ("CIFS", "last"): (83.86, 51.23),
        ("CIFS", "best"): (82.46, 51.94),
        ("Vanilla", "last"): (84.56, 46.62),
        ("Vanilla", "best"): (83.63, 50.64),
    },
    "fsr-figure-s1a": {("τ = 0.1", "last"): (81.46, 58.07, 52.47, 51.02, 49.44, 48.34)},
    "fsr-figure-s1b": {("λ_sep = 1", "last"): (81.46, 58.07, 52.47, 51.02, 49.44, 48.34)},
    "fsr-figure-s1c": {("λ_rec = 1", "last"): (81.46, 58.07, 52.47, 51.02, 49.44, 48.34)},
    "fsr-figure-s2a": {("FSR", "last"): (52.47, 51.02), ("Vanilla", "last"): (48.22, 46.37)},
    "fsr-figure-s2b": {("FSR", "last"): (81.46, 52.47, 0), ("Vanilla", "last"): (85.02, 48.22, 0)},
    "infofeature-iterations": {("iterations = 7", "best"): (85.1, 69.3, 61.3, 49.3, 48.0)},
    "infofeature-lambda": {
        ("λ = 0.1", "best"): (85.1, 69.3, 61.3, 49.3, 48.0),
        ("λ = 0", "best"): (85.6, 68.6, 56.1, 40.3, 41.5),
    },
    "infofeature-table-6": {
        ("InfoFeature", "best"): (89.8, 89.8, 88.3, 76.6, 75.2),
        ("Madry", "best"): (88.7, 88.6, 88.4, 75.3, 74.6),
        ("Standard", "best"): (92.1, 35.8, 30.1, 82.4, 81.1),
    },
    "infofeature-table-5": {
        ("InfoFeature", "best", "best"): (94.4, 89.3, 72.4, 54.4, 50.7),
        ("AdvInterp", "best", "best"): (95.0, 91.1, 69.2, 49.1, 48.0),
        ("FeaScatter", "best", "best"): (94.5, 89.1, 71.5, 52.8, 49.0),
        ("Madry", "best", "best"): (91.9, 80.4, 71.8, 43.1, 45.4),
    },
    "infofeature-table-4": {
        ("InfoFeature", "best", "best"): (63.0, 44.9, 34.4, 28.6, 26.6),
        ("AdvInterp", "best", "best"): (70.3, 44.7, 33.9, 28.2, 19.2),
        ("FeaScatter", "best", "best"): (72.8, 46.0, 36.7, 25.3, 22.4),
        ("Standard", "best", "best"): (76.8, 0.1, 0.0, 0.0, 0.0),
    },
    "infofeature-table-3": {
        ("InfoFeature", "worst", "best"): (89.9, 72.6, 61.6, 48.5, 49.2),
        ("AdvInterp", "worst", "best"): (88.1, 66.8, 58.2, 48.4, 49.1),
        ("FeaScatter", "worst", "best"): (90.3, 71.4, 59.1, 44.4, 44.5),
        ("InfoFeature", "best", "best"): (90.6, 73.0, 64.8, 50.0, 49.5),
        ("AdvInterp", "best", "best"): (90.6, 75.1, 71.6, 67.5, 61.4),
        ("FeaScatter", "best", "best"): (92.8, 88.9, 66.8, 55.0, 54.9),
        ("Madry", "best"): (88.7, 70.8, 59.5, 45.0, 45.7),
    },
    "infofeature-table-2": {
        ("Madry", "best"): (2.1, 2.0, 2.8, 2.0, 1.8, 2.7, 1.6, 2.7, 1.8, 2.8, 2.0, 2.8, 2.1, 2.8),
        ("Standard", "best"): (2.1, 2.0, 2.8, 2.0, 1.8, 2.2, 1.6, 1.9, 1.5, 2.0, 1.5, 2.0, 1.6, 2.1),
    },
    "infofeature-table-1": {
        ("InfoFeature", "best"): (85.1, 69.3, 61.3, 49.3, 48.0),
        ("AdvInterp", "best"): (90.0, 70.4, 61.0, 47.5, 44.1),
        ("FeaScatter", "best"): (89.5, 69.8, 61.0, 50.2, 44.2),
        ("FM (10)", "best"): (85.6, 68.7, 58.0, 42.9, 44.2),
        ("ALP (0.1)", "best"): (85.7, 67.6, 56.3, 41.3, 43.0),
        ("Standard", "best"): (94.7, 30.7, 1.8, 0.0, 0.0),
    },
    "fsr-table-s7": {
        ("w/ Separation", "last"): (58.07, 52.47, 51.02, 49.44, 48.34),
        ("w/o Separation", "last"): (57.51, 50.71, 48.98, 49.32, 47.60),
        ("Random", "last"): (56.60, 50.04, 48.46, 49.08, 46.77),
        ("Greedy", "last"): (57.75, 49.48, 47.59, 48.36, 46.42),
    },
    "fsr-table-s6": {
        ("Gumbel", "last"): (58.07, 52.47, 51.02, 49.44, 48.34, 46.41),
        ("Binary", "last"): (55.78, 49.21, 47.79, 48.74, 46.91, 44.26),
    },
    "fsr-table-s5": {
        ("Mispredicted", "last"): (81.46, 58.07, 52.47, 51.02, 49.44, 48.34),
        ("Avg. targeted loss", "last"): (84.50, 57.98, 50.41, 48.55, 49.80, 47.42),
        ("Entropy max.", "last"): (84.69, 58.35, 50.66, 48.93, 49.90, 47.88),
        ("AT", "last"): (85.02, 56.21, 48.22, 46.37, 47.38, 45.51),
    },
    "fsr-table-s4": {
        ("Block3+4", "last"): (82.18, 56.93, 50.72, 49.32, 48.63, 46.91),
        ("Block3", "last"): (82.60, 56.62, 50.43, 49.11, 47.84, 46.33),
        ("Block2", "last"): (83.76, 56.34, 48.86, 47.03, 47.32, 45.28),
        ("Block1", "last"): (84.58, 56.41, 48.29, 46.28, 46.96, 44.89),
    },
    "fsr-table-s3": {
        ("MART", "FSR", "last"): (86.21, 62.61, 54.23, 52.00, 51.25, 50.10),
        ("MART", "Vanilla", "last"): (85.81, 61.22, 52.49, 49.88, 49.67, 48.81),
        ("TRADES", "FSR", "last"): (86.88, 62.97, 54.37, 51.98, 53.19, 51.34),
        ("AT", "Vanilla", "last"): (87.49, 59.47, 50.72, 48.75, 50.42, 48.52),
    },
    "fsr-table-s2": {
        ("MART", "FSR", "last"): (46.02, 26.02, 24.05, 23.82, 20.63, 20.24),
        ("TRADES", "FSR", "last"): (49.53, 24.87, 23.22, 23.09, 19.22, 19.04),
        ("TRADES", "Vanilla", "last"): (50.41, 23.79, 21.16, 20.72, 17.24, 17.02),
        ("AT", "FSR", "last"): (51.77, 24.19, 20.95, 20.06, 19.32, 18.02),
    },
    "fsr-table-s1": {
        ("MART", "FSR", "last"): (56.51, 32.08, 27.90, 27.28, 25.91, 24.98),
        ("MART", "Vanilla", "last"): (57.13, 31.32, 27.40, 26.80, 25.24, 24.42),
        ("TRADES", "Vanilla", "last"): (61.87, 30.77, 26.37, 25.76, 24.08, 23.45),
        ("AT", "Vanilla", "last"): (59.25, 28.80, 24.39, 23.43, 23.92, 22.46),
    },
    "cas-table-13": {
        ("MART", "last"): (81.01, 73.56, 54.37, 20.49, 2.19),
        ("TRADES", "last"): (80.09, 72.69, 55.99, 27.94, 5.10),
        ("AT", "last"): (79.15, 70.26, 48.88, 16.64, 2.48),
    },
    "cas-table-12": {
        ("MART", "CAS", "last"): (None, 49.89, 55.75),
        ("MART", "Vanilla", "last"): (46.99, None, None),
        ("TRADES", "CAS", "last"): (None, 53.51, 55.53),
        ("TRADES", "Vanilla", "last"): (48.47, None, None),
        ("AT", "CAS", "last"): (None, 46.27, 49.56),
        ("AT", "Vanilla", "last"): (43.35, None, None),
    },
    "cas-table-11": {
        ("MART", "CAS", "last"): (46.39,),
        ("MART", "CAS", "best"): (48.45,),
        ("MART", "Vanilla", "last"): (45.45,),
        ("MART", "Vanilla", "best"): (47.06,),
        ("TRADES", "CAS", "last"): (48.38,),
        ("TRADES", "CAS", "best"): (48.40,),
        ("TRADES", "Vanilla", "last"): (47.46,),
        ("TRADES", "Vanilla", "best"): (48.28,),
        ("AT", "CAS", "last"): (44.74,),
        ("AT", "CAS", "best"): (47.40,),
        ("AT", "Vanilla", "last"): (41.90,),
        ("AT", "Vanilla", "best"): (46.58,),
    },
    "cas-table-10": {
        ("CIFAR-10", "MART", "CAS", "best"): (85.99, 64.23, 58.21, 69.91),
        ("SVHN", "MART", "CAS", "best"): (91.04, 72.32, 60.29, 57.05),
        ("CIFAR-10", "MART", "Vanilla", "best"): (78.90, 63.29, 54.92, 50.31),
        ("SVHN", "TRADES", "CAS", "best"): (91.41, 71.39, 59.32, 66.94),
        ("SVHN", "AT", "Vanilla", "best"): (91.41, 69.52, 53.07, 50.38),
    },
    "cas-table-9": {
        ("MART", "CAS", "last"): (83.28, 61.70, 49.13, 49.10),
        ("MART", "CAS", "best"): (81.53, 61.89, 52.01, 50.97),
        ("TRADES", "Vanilla", "last"): (76.67, 52.99, 41.13, 45.25),
        ("TRADES", "Vanilla", "best"): (74.98, 52.10, 41.53, 45.50),
        ("AT", "CAS", "last"): (82.61, 57.56, 42.73, 49.68),
        ("AT", "Vanilla", "best"): (70.32, 51.87, 42.23, 43.63),
    },
    "cas-table-8": {
        ("MART", "CAS", "last"): (89.20, 67.96, 54.95, 57.11),
        ("MART", "CAS", "best"): (87.87, 68.09, 58.24, 61.48),
        ("MART", "Vanilla", "last"): (85.69, 66.41, 54.49, 52.55),
        ("TRADES", "CAS", "best"): (87.07, 66.92, 55.43, 61.46),
        ("AT", "CAS", "last"): (89.06, 66.98, 53.22, 54.77),
        ("AT", "Vanilla", "last"): (84.23, 61.27, 49.53, 47.68),
    },
    "cas-table-6": {
        ("CIFAR-10", "MART", "CAS", "last"): (85.68, 86.59, 81.93),
        ("SVHN", "MART", "CAS", "last"): (68.45, 75.45, 80.12),
        ("CIFAR-10", "TRADES", "CAS", "last"): (84.77, 85.54, 79.42),
        ("SVHN", "TRADES", "Vanilla", "last"): (67.81, 74.43, 44.16),
        ("CIFAR-10", "AT", "Vanilla", "last"): (79.13, 79.87, 45.05),
        ("SVHN", "AT", "CAS", "last"): (65.50, 72.35, 75.72),
    },
    "cas-table-5": {
        ("CIFAR-10", "MART", "CAS", "last"): (86.95, 63.64, 54.37, 63.16),
        ("SVHN", "MART", "CAS", "last"): (93.05, 70.30, 51.57, 53.38),
        ("CIFAR-10", "TRADES", "CAS", "last"): (85.83, 65.21, 55.99, 67.17),
        ("SVHN", "TRADES", "Vanilla", "last"): (91.16, 69.85, 50.90, 50.85),
        ("SVHN", "AT", "CAS", "last"): (90.39, 67.51, 51.98, 53.53),
        ("SVHN", "AT", "Vanilla", "last"): (89.62, 65.09, 42.55, 50.96),
    },
    "cas-table-4": {
        ("MART", "CAS", "last"): (84.89, 65.14, 54.48, 66.92),
        ("MART", "Vanilla", "last"): (82.16, 63.91, 52.67, 49.44),
        ("TRADES", "CAS", "last"): (83.84, 64.31, 54.11, 64.01),
        ("TRADES", "Vanilla", "last"): (83.50, 63.68, 52.80, 50.90),
        ("AT", "CAS", "last"): (84.95, 61.40, 47.99, 57.79),
        ("AT", "Vanilla", "last"): (84.27, 60.46, 46.50, 48.97),
    },
    "cas-table-3": {
        ("Block3+4", "last"): (83.77, 58.32, 48.27, 54.62),
        ("Block3", "last"): (83.05, 59.20, 47.84, 48.19),
        ("Block2", "last"): (71.89, 49.69, 40.26, 46.46),
    },
    "cas-table-2": {
        ("with suppressing", "last"): (86.79, 61.23, 48.88, 53.33),
        ("without suppressing", "last"): (83.42, 59.81, 44.20, 46.27),
        ("AT", "last"): (84.27, 60.46, 46.50, 48.97),
    },
    "cas-table-1": {
        ("CAS", "last"): (86.79, 61.23, 48.88, 53.33, 53.20, 56.47),
        ("PCL", "last"): (88.15, 46.47, 24.68, 37.50, None, None),
        ("SAP", "last"): (79.13, 59.04, 46.35, 46.65, None, 19.98),
        ("kWTA", "last"): (76.48, 59.56, 50.72, 46.84, 16.72, None),
    },
    "cas-figure-9": {("STD", "CAS", "last"): (94.56,), ("STD", "Vanilla", "last"): (92.75,)},
    "cifs-table-e3": {
        ("MLP-Linear", "last"): (83.86, 58.86, 51.23, 48.74),
        ("Linear-Linear", "last"): (81.52, 58.33, 51.32, 49.07),
        ("Vanilla", "last"): (84.56, 55.11, 46.62, 44.72),
    },
    "cifs-table-e2": {
        ("P1-P2", "last"): (83.86, 58.86, 51.23, 48.74),
        ("P2", "last"): (82.62, 56.55, 47.22, 44.81),
        ("P1", "last"): (84.02, 57.60, 48.45, 45.95),
    },
    "cifs-table-e1": {
        ("β = 100", "last"): (75.41, 52.90, 45.00, 43.12),
        ("β = 10", "last"): (82.97, 57.62, 49.34, 47.10),
        ("β = 1", "last"): (82.34, 58.15, 50.50, 48.35),
        ("β = 0.1", "last"): (75.22, 53.41, 48.10, 46.28),
    },
    "cifs-table-d1": {
        ("CIFS", "best"): (83.32, 78.55, 69.05, 67.21),
        ("CAS", "best"): (86.63, 83.59, 68.73, 62.65),
        ("Vanilla", "best"): (85.19, 81.21, 67.63, 63.36),
        ("CIFS", "last"): (83.35, 77.48, 66.59, 65.50),
        ("CAS", "last"): (86.59, 82.45, 65.58, 59.51),
        ("Vanilla", "last"): (85.19, 80.52, 66.47, 60.99),
    },
    "cifs-table-c2": {
        ("CIFS", "best"): (93.27, 67.36, 52.67, 50.20, 48.36),
        ("CAS", "best"): (93.90, 65.53, 50.52, 48.39, 46.39),
        ("Vanilla", "best"): (93.88, 66.02, 51.71, 48.87, 47.59),
    },
    "cifs-table-c1": {("CIFS", "last"): (42.10,), ("CAS", "last"): (39.30,), ("Vanilla", "last"): (40.60,)},
    "cifs-table-b4": {
        ("FAT", "CIFS", "last"): (86.35, 59.47, 51.68, 49.52),
        ("TRADES", "CIFS", "last"): (85.20, 54.76, 46.13, 43.65),
        ("AT", "CIFS", "last"): (83.86, 58.86, 51.23, 48.74),
        ("FAT", "Vanilla", "last"): (87.16, 56.43, 47.64, 45.35),
        ("TRADES", "Vanilla", "last"): (83.96, 57.09, 50.27, 48.83),
    },
    "cifs-table-b3": {
        ("CIFS", "inf-1", "last"): (None, 61.06, 54.96, 53.83, 52.82),
        ("CIFS", "100", "last"): (None, 59.38, 51.41, 51.04, 48.80),
        ("CIFS", "1", "last"): (None, 59.20, 51.28, 50.16, 48.74),
        ("CAS", "inf-2", "last"): (None, 82.68, 87.87, 87.79, 87.72),
        ("CAS", "2", "last"): (None, 56.06, 49.76, 54.94, 50.62),
        ("CAS", "0.1", "last"): (None, 58.61, 61.36, 85.51, 62.40),
    },
    "cifs-table-b2": {
        ("WRN-28-10", "CIFS", "best"): (84.67, 61.03, 54.09, 53.76, 52.03),
        ("WRN-28-10", "Vanilla", "best"): (86.53, 61.43, 55.69, 54.45, 54.17),
        ("ResNet-18", "CAS", "best"): (85.66, 56.25, 47.69, 46.52, 45.69),
    },
    "cifs-table-b1": {
        ("WRN-28-10", "CIFS", "last"): (49.75,),
        ("WRN-28-10", "CAS", "last"): (46.55,),
        ("WRN-28-10", "Vanilla", "last"): (47.20,),
        ("ResNet-18", "CIFS", "last"): (46.20,),
        ("ResNet-18", "CAS", "last"): (42.70,),
        ("ResNet-18", "Vanilla", "last"): (44.00,),
    },
    "cifs-figure-a1": {("softmax", "last"): (22.3, None), ("Vanilla", "last"): (16.70, 25.50)},
    "cifs-table-5": {
        ("top-3", "last"): (83.49, 47.59, 55.39, 49.91),
        ("top-2", "last"): (83.86, 48.72, 54.96, 51.23),
        ("Vanilla", "last"): (84.56, None, None, 46.62),
    },
    "cifs-table-4": {("Vanilla", "last"): (55.11, 76.22, 85.20, 46.62, 71.71, 81.60)},
    "cifs-table-3": {
        ("WRN-28-10", "CIFS", "last"): (86.74, 60.67, 51.99, 52.34, 49.87),
        ("WRN-28-10", "Vanilla", "last"): (88.37, 58.81, 49.62, 48.49, 47.58),
        ("ResNet-18", "CIFS", "last"): (86.35, 59.47, 51.68, 51.84, 49.52),
        ("ResNet-18", "Vanilla", "last"): (87.16, 56.43, 47.64, 46.01, 45.35),
    },
    "cifs-cost": {("CIFS", "last"): (172, 56), ("Vanilla", "last"): (166, 53)},
    "cifs-table-2": {
        ("CIFS", "last"): (93.94, 66.24, 52.02, 50.13, 47.49),
        ("CAS", "last"): (94.08, 65.24, 48.47, 46.15, 43.75),
        ("Vanilla", "last"): (93.72, 65.87, 50.35, 47.89, 45.81),
    },
    "cifs-table-1": {
        ("WRN-28-10", "CAS", "last"): (88.05, 57.94, 49.03, 47.97, 47.25),
        ("WRN-28-10", "Vanilla", "last"): (87.29, 58.50, 49.17, 48.68, 47.08),
        ("ResNet-18", "Vanilla", "last"): (84.56, 55.11, 46.62, 45.95, 44.72),
    },
    "cifs-figure-3": {
        ("softmax", "last"): (51.23,),
        ("softplus", "last"): (50.38,),
        ("sigmoid", "last"): (49.87,),
        ("Vanilla", "last"): (46.64,),
    },
    "cifs-figure-1": {("AT", "last"): (46.6, 69.0, 16.7), ("Normal", "last"): (0, None, None)},
    "afd-table-a6": {("FC3-PD", "last"): (97.03,), ("FC3", "last"): (90.73,), ("FC1-PD", "last"): (85.96,)},
    "afd-table-a5": {
        ("CIFAR-100", "AFD", "last"): (500, 76),
        ("CIFAR-10", "AFD", "last"): (417, 9),
        ("MNIST", "AFD", "last"): (18, 6),
        ("CIFAR-100", "TRADES", "last"): (512, 461),
        ("CIFAR-10", "AT", "last"): (512, 455),
        ("MNIST", "AT", "last"): (64, 43),
        ("CIFAR-10", "NT", "last"): (512, 97),
    },
    "afd-table-a4": {
        ("CIFAR-100", "AFD", "last"): (42.72, 40.29),
        ("CIFAR-100", "TRADES", "last"): (40.1, None),
        ("CIFAR-100", "AT", "last"): (None, 36.6),
        ("CIFAR-100", "NT", "last"): (56.84, 51.95),
        ("CIFAR-10", "AFD", "last"): (88.56, 65.13),
        ("CIFAR-10", "TRADES", "last"): (80.78, None),
        ("MNIST", "TRADES", "last"): (93.58, None),
        ("MNIST", "AT", "last"): (97.11, 97.23),
        ("MNIST", "NT", "last"): (73.46, 62.09),
    },
    "afd-table-a3": {
        ("CIFAR-100", "AFD", "last"): (15, 32, 10),
        ("CIFAR-100", "TRADES", "last"): (30, 35, 30),
        ("CIFAR-100", "NT", "last"): (None, 2, None),
        ("CIFAR-10", "AFD", "last"): (25, 68, 41),
        ("CIFAR-10", "AT", "last"): (34, 51, 36),
        ("CIFAR-10", "NT", "last"): (0.0, None, None),
        ("MNIST", "TRADES", "last"): (2, 48, 17),
        ("MNIST", "NT", "last"): (0, 25, 3),
    },
    "afd-table-2": {
        ("CIFAR-100", "AFD", "last"): (0.43, 0.19, 0.47, 0.50, 0.49, 0.15, 0.13, 0.19),
        ("CIFAR-10", "AFD", "last"): (0.73, 0.43, 0.82, 0.85, 0.84, 0.38, 0.33, 0.37),
        ("CIFAR-10", "NT", "last"): (0.04, 0.02, 0.06, 0.35, 0.04, 0.06, 0.08, 0.13),
        ("MNIST", "TRADES", "last"): (0.62, 0.47, 0.41, 0.72, 0.80, 0.77, 0.73, 0.96),
        ("MNIST", "AT", "last"): (0.67, 0.50, 0.44, 0.76, 0.84, 0.72, 0.74, 0.96),
    },
    "afd-table-1-cited": {
        ("CIFAR-100", "WRN-28-10", "Feature-scattering", "last"): (73.9, 47.2, 61.0, None, None),
        ("CIFAR-10", "WRN-28-10", "Feature-scattering", "last"): (90.00, 70.5, 78.4, None, None),
        ("CIFAR-10", "WRN-34-10", "JARN", "last"): (84.8, 46.7, 65.7, 59.3, 70.3),
        ("CIFAR-10", "ResNet-18", "YOPO", "last"): (83.99, 44.72, None, None, None),
        ("CIFAR-10", "WRN-34-10", "RST+", "last"): (89.82, 64.86, 69.60, 88.77, 87.61),
        ("CIFAR-10", "ResNet-18", "TRADES (Zhang et al.)", "last"): (84.92, 56.61, None, None, None),
        ("CIFAR-10", "ResNet-18", "AT (Madry et al.)", "last"): (87.3, 45.8, 56.1, 86.0, 85.6),
        ("MNIST", "ConvNet", "Defense-GAN", "last"): (99.20, None, None, None, 93.23),
        ("MNIST", "LeNet", "ABS", "last"): (99.0, 13, 34, None, None),
    },
    "afd-table-1": {
        ("CIFAR-100", "ResNet-18", "AFD", "best", "last"): (None, 54.95, None, None, None),
        ("CIFAR-10", "ResNet-18", "AFD", "best", "last"): (None, 83.72, None, None, None),
        ("CIFAR-100", "ResNet-18", "AFD", "last"): ((62.35, 5.70), (44.88, 8.30), (49.52, 6.73), (63.63, 4.12), (54.90, 0.42)),
        ("CIFAR-100", "ResNet-18", "TRADES", "last"): (55.48, 27.36, 30.46, 54.13, 53.16),
        ("CIFAR-100", "ResNet-18", "NT", "last"): (76.12, 0.01, 9.67, 1.55, 15.43),
        ("CIFAR-10", "ResNet-18", "AFD", "last"): ((89.38, 2.71), (77.72, 10.78), (85.34, 0.03), (86.33, 2.21), (84.70, 1.40)),
        ("CIFAR-10", "ResNet-18", "AT", "last"): (83.58, 41.05, 50.12, 83.20, 82.88),
        ("MNIST", "ResNet-18", "AFD", "last"): ((99.15, 0.12), (96.13, 0.35), (97.70, 0.34), (98.31, 0.18), (97.92, 0.31)),
        ("MNIST", "ResNet-18", "TRADES", "last"): ((98.84, 0.18), (80.69, 9.44), (91.75, 2.7), (97.11, 0.63), (86.4, 8.22)),
        ("MNIST", "ResNet-18", "AT", "last"): ((99.13, 0.11), (95.16, 0.12), (97.33, 0.18), (98.41, 0.09), (98.17, 0.18)),
        ("MNIST", "ResNet-18", "NT", "last"): ((98.80, 0.11), (0.0, 0.0), (2.90, 0.07), (11.25, 3.60), (20.48, 2.91)),
    },
}

#: One network in two tables of a paper: (file, labels), twice.
TWICE = [
    ("cas-table-5", ("CIFAR-10", "AT", "CAS"), "cas-table-1", ("CAS",)),
    ("cas-table-5", ("CIFAR-10", "AT", "Vanilla"), "cas-table-2", ("AT",)),
    ("cas-table-5", ("CIFAR-10", "AT", "CAS"), "cas-table-2", ("with suppressing",)),
    ("cas-table-5", ("CIFAR-10", "AT", "CAS"), "cas-table-3", ("Block4",)),
    *[("cas-table-5", ("CIFAR-10", o, "Vanilla"), "cas-table-4", (o, "Vanilla")) for o in ("AT", "TRADES", "MART")],
    ("cifs-table-1", ("ResNet-18", "Vanilla"), "cifs-table-b4", ("AT", "Vanilla")),
    *[("cifs-table-3", ("ResNet-18", module), "cifs-table-b4", ("FAT", module)) for module in ("Vanilla", "CIFS")],
    ("cifs-table-b4", ("AT", "CIFS"), "cifs-table-e1", ("β = 2",)),
    ("cifs-table-b4", ("AT", "CIFS"), "cifs-table-e2", ("P1-P2",)),
    ("fsr-table-s4", ("Block4",), "fsr-table-s5", ("Mispredicted",)),
    ("fsr-table-s4", ("Block4",), "fsr-table-s6", ("Gumbel",)),
    ("fsr-table-s4", ("Block4",), "fsr-table-s7", ("w/ Separation",)),
]


def cells(name: str, *labels: str) -> dict[str, float]:
    """One row, by column."""
    return {number.column: number.value for number in printed(name) if number.labels == labels}


def test_every_file_is_here() -> None:
    assert {file.name.removesuffix(".csv") for file in files("search_spaces").joinpath("reference").iterdir()} == set(SHAPES)
    assert set(READ_AGAIN) == set(SHAPES)


@pytest.mark.parametrize("name", SHAPES)
def test_a_table_has_the_papers_shape(name: str) -> None:
    shape, numbers = SHAPES[name], printed(name)
    header = files("search_spaces").joinpath("reference", f"{name}.csv").read_text(encoding="utf-8").splitlines()[0]
    assert header == ",".join([*shape.factors.split(), "checkpoint", "column", "value", "std"])
    assert len({(number.labels, number.seed) for number in numbers}) == shape.rows
    assert {number.column for number in numbers} == set(shape.columns)
    assert len({(number[:3], number.seed) for number in numbers}) == len(numbers) == shape.numbers


@pytest.mark.parametrize("name", SHAPES)
def test_numbers_are_possible(name: str) -> None:
    assert all("" not in number.labels and number.checkpoint in {"best", "last"} for number in printed(name))
    highest = 1 if name == "afd-table-2" else float("inf") if name in NOT_PERCENT else 100
    assert all(0 <= number.value <= highest for number in printed(name))


def test_standard_deviations_are_where_three_runs_were_made() -> None:
    spread = {(name, n.labels) for name in SHAPES for n in printed(name) if n.std is not None}
    several = [("MNIST", objective) for objective in ("NT", "AT", "TRADES", "AFD")]
    several += [("CIFAR-10", "AFD"), ("CIFAR-100", "AFD")]
    assert spread == {("afd-table-1", (dataset, "ResNet-18", objective)) for dataset, objective in several}


@pytest.mark.parametrize("name", READ_AGAIN)
def test_a_second_reading_agrees(name: str) -> None:
    def cell(number: Number | None) -> PrintedCell:
        if number is None:
            return None
        return number.value if number.std is None else (number.value, number.std)

    found = {(*n.labels, *filter(None, [n.seed]), n.checkpoint, n.column): n for n in printed(name)}
    for row, again in READ_AGAIN[name].items():
        assert tuple(cell(found.get((*row, column))) for column in SHAPES[name].columns) == again
    read = sum(value is not None for again in READ_AGAIN[name].values() for value in again)
    assert read >= min(10, SHAPES[name].numbers)


@pytest.mark.parametrize(("one", "labels", "other", "labels_there"), TWICE)
def test_a_network_has_the_same_numbers_in_two_tables(
    one: str, labels: tuple[str, ...], other: str, labels_there: tuple[str, ...]
) -> None:
    here, there = cells(one, *labels), cells(other, *labels_there)
    shared = here.keys() & there.keys()
    assert len(shared) >= 4
    assert {column: here[column] for column in shared} == {column: there[column] for column in shared}


def test_cas_at_8_255_is_the_row_of_the_main_table() -> None:
    for objective in ("AT", "TRADES", "MART"):
        by_eps = cells("cas-table-13", objective)
        assert by_eps["ε"] == cells("cas-table-5", "CIFAR-10", objective, "CAS")["PGD-20"]


@pytest.mark.parametrize("name", [name for name, shape in SHAPES.items() if "Ensemble" in shape.columns])
def test_an_ensemble_is_no_weaker_than_its_attacks(name: str) -> None:
    for labels in {number.labels for number in printed(name)}:
        row = cells(name, *labels)
        assert row["Ensemble"] <= min(row[attack] for attack in ("FGSM", "PGD-20", "PGD-100", "C&W"))


@pytest.mark.parametrize(("name", "average"), [("fsr-table-s1", 0.67), ("fsr-table-s2", 2.08)])
def test_the_average_gains_that_the_text_names(name: str, average: float) -> None:
    gains = [cells(name, o, "FSR")["Ensemble"] - cells(name, o, "Vanilla")["Ensemble"] for o in ("AT", "TRADES", "MART")]
    assert round(sum(gains) / 3, 2) == average
