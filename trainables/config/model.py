"""The network of a trial, and the names of its positions."""

import re
from typing import Annotated, Self

from pydantic import Field, model_validator

from trainables.config.architecture import Architecture
from trainables.config.terms.registry import MODEL, NameOf
from trainables.config.terms.spec import Count, Positive, Spec


class Model(Spec):
    """The network, its width and its input normalisation.

    ``name``: which network.
    ``width``: channels of the first stage: 64 for the papers' ResNets and VGG16, 160 makes ``wrn-28`` the WRN-28-10, 6 makes
    ``lenet`` LeNet-5.
    ``normalise``: whether ``mean`` is taken from images in [0, 1], and they are divided by ``std``. Attacks stay in [0, 1], so
    that 8/255 means the same everywhere: InfoFeature's 16/255 of a range twice as long.
    ``mean``: what is taken from images: one number, or one a channel.
    ``std``: what images are divided by: one number, or one a channel. By default both map them to [-1, 1], as in InfoFeature
    and Feature Scattering.
    ``unit_features``: whether the pooled features, which the linear layer and AFD's discriminator see, are divided by their
    length, as in AFD's public code.
    """

    name: Annotated[str, NameOf(MODEL)] = "resnet-18"
    width: Count = 64
    normalise: bool = False
    mean: tuple[Annotated[float, Field(ge=0, le=1)], ...] = (0.5,)
    std: tuple[Positive, ...] = (0.5,)
    unit_features: bool = False

    @model_validator(mode="after")
    def _used(self) -> Self:
        if not self.normalise and (self.mean, self.std) != ((0.5,), (0.5,)):
            raise ValueError(f"mean = {list(self.mean)}, std = {list(self.std)}: need normalise=true")
        return self

    @property
    def architecture(self) -> Architecture:
        """The architecture that the network's name stands for."""
        found: Architecture = MODEL.infos[self.name]
        return found

    def positions(self) -> list[str]:
        """Return every position at which a module can be inserted, in forward order."""
        return [f"block{stage}.{block}" for stage, n in enumerate(self.architecture.blocks, 1) for block in range(1, n + 1)]

    def resolve(self, position: str) -> list[str]:
        """Return the positions that a paper's name stands for.

        ``block4`` is each block of stage 4, ``block4.last`` the last of them, ``P1`` the last block of the network, ``P2`` the
        one before it, and ``all`` every position.

        Raises:
            ValueError: this model has no such position.
        """
        every = self.positions()
        if match := re.fullmatch(r"P([1-9]\d*)", position):
            found = every[-int(match[1]) :][:1] if int(match[1]) <= len(every) else []
        elif position == "all":
            found = every
        elif match := re.fullmatch(r"(block\d+)\.last", position):
            found = [p for p in every if p.startswith(f"{match[1]}.")][-1:]
        else:
            found = [p for p in every if p == position or p.startswith(f"{position}.")]
        if not found:
            stages = [f"block{s}" for s in range(1, len(self.architecture.blocks) + 1)]
            allowed = ", ".join([*stages, *every, "P1", "P2", "all"])
            raise ValueError(f"positions: {position!r} is none of {self.name}; allowed: {allowed}")
        return found
