"""What the inputs maximise in evaluations. Each is a part of an evaluation's key, so a new field here is a new key.

For every attack an example is *broken* if the network misclassifies it as it is, or an image that the attack visits within its
budget: for attacks by gradient steps the start, every iterate and the end of each restart. Papers count the last iterate, which
is no stronger. Because nothing that comes later mends what is broken, an attack may stop there, accuracy is what it would be if
it went on, and PGD-20 is the beginning of PGD-100. What is visited is seen for nothing where gradients are the network's own;
where they are not (through another ``view``, or at other images than the iterate), judging costs a forward pass a step. The
prediction of a stochastic network is the mean over draws, and the end point's alone decides.
"""

from importlib import import_module
from pkgutil import iter_modules
from typing import Annotated

from trainables.config.attacks.base import AttackSpec
from trainables.config.terms.registry import ATTACK, OneOf

# Every file of this folder registers what is in it: for a new attack, a new file is enough.
for _file in iter_modules(__path__, f"{__name__}."):
    import_module(_file.name)

#: Any attack of an evaluation.
Attack = Annotated[AttackSpec, OneOf(ATTACK)]
