"""Specifications of CIFS's importance masks (Yan et al., ICML 2021, section 3.2): functions of the relevance g."""

from typing import Literal

from trainables.config.terms.spec import Positive, Spec


class Sigmoid(Spec):
    """CIFS importance mask 1 / (1 + exp(-alpha g)). ``alpha``: how steep it is."""

    name: Literal["sigmoid"] = "sigmoid"
    alpha: Positive = 10.0


class Softplus(Spec):
    """CIFS importance mask log(1 + exp(alpha g)) / alpha. ``alpha``: how sharp its bend is."""

    name: Literal["softplus"] = "softplus"
    alpha: Positive = 5.0


class Softmax(Spec):
    """CIFS importance mask softmax(g / T) over the channels. ``T``: the temperature."""

    name: Literal["softmax"] = "softmax"
    T: Positive = 1.0
