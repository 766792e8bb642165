"""Distances and angles between the perturbations of two attacks on the same images."""

import torch
from torch import Tensor

from trainables import config
from trainables.measures.subject import Array, Subject, array


def angle(u: Tensor, v: Tensor) -> Tensor:
    """Compute the angles between the rows of (B, P), in radians from 0 to pi: (B,); nan where a row is 0.

    The tangent of the half angle is used (Kahan): an arc cosine would lose half of the digits of small angles.
    """
    u, v = u / u.norm(dim=1, keepdim=True), v / v.norm(dim=1, keepdim=True)
    return 2 * torch.atan2((u - v).norm(dim=1), (u + v).norm(dim=1))


def perturbations(spec: config.Perturbations, subject: Subject) -> dict[str, Array]:
    """Compare the perturbations d of an attack and d0 of the reference attack.

    Returns:
        ``distance``: |d - d0|, L2 norm over all pixels in [0, 1], (N,) (InfoFeature, Table 2, which does not give its unit).
        ``angle``: angle between d and d0, (N,). ``representation_angle``: angle between E(x + d) - E(x) and E(x + d0) - E(x),
        (N,) (AFD, Table A7). Angles are in radians, and nan where one of the two vectors is 0.
    """
    distances, angles, representation_angles = [], [], []
    for x, _, both in subject.batches(spec.reference, spec.attack):
        d0, d = ((x_adv - x).double().flatten(1) for x_adv in both)
        origin = subject.features(x).double()
        E0, E = (subject.features(x_adv).double() - origin for x_adv in both)
        distances.append((d - d0).norm(dim=1))
        angles.append(angle(d, d0))
        representation_angles.append(angle(E, E0))
    return {
        "distance": array(distances),
        "angle": array(angles),
        "representation_angle": array(representation_angles),
    }
