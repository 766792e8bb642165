"""What every network has: places for inserted modules, and a linear layer on pooled features."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Generator, Tensor, nn

from trainables import config
from trainables.modules import InsertedModule
from trainables.outputs import Outputs


class Trace:
    """What is seen on the way of one forward pass: what the inserted modules say, in its order, and the features to watch."""

    def __init__(self) -> None:
        self.aux: list[Tensor] = []
        self.inner: list[Any] = []
        self.watched: Tensor | None = None


class Network(nn.Module):
    """A backbone with modules inserted at some of its positions.

    ``channels``: at every position (``block<stage>.<block>``), the number of channels of the features there.
    ``normalise``: whether the model's mean and std are taken out of images first; attacks and their eps stay in [0, 1].
    ``fc``: the linear layer on the pooled last features.
    ``precision``: of the backbone's layers in a forward pass. What the network returns, and what inserted modules see and
    compute, has the precision of the weights: bf16 has 8 bits, in which logits tie and a Gumbel mask's logarithms are lost.
    """

    fc: nn.Linear
    mean: Tensor
    std: Tensor

    def __init__(self, model: config.Model) -> None:
        super().__init__()
        self.normalise = model.normalise
        # They follow the device, and are no weights.
        for name, numbers in (("mean", model.mean), ("std", model.std)):
            self.register_buffer(name, torch.tensor(numbers)[:, None, None], persistent=False)
        self.channels: dict[str, int] = {}
        self.inserted = nn.ModuleDict()
        self.precision: config.Precision = "fp32"
        self._chance: Generator | None = None
        self._watch: tuple[str, bool] | None = None
        self._graphs = False

    def compile_kernels(self, *, graphs: bool) -> None:
        """Compile forward passes from now on. ``graphs``: on a GPU they are replayed as CUDA graphs."""
        self._graphs = graphs
        self.compile(mode="reduce-overhead" if graphs else None)

    def __call__(self, x: Tensor, y: Tensor | None = None) -> Outputs:
        """See :meth:`forward`."""
        outputs: Outputs = super().__call__(x, y)
        # A graph's next replay writes over what it returned, and attacks look back at earlier outputs.
        if self._graphs:
            outputs = _copied(outputs)
        return outputs

    @contextmanager
    def computing(self, precision: config.Precision) -> Iterator[None]:
        """Forward passes in ``precision``; then as before."""
        before, self.precision = self.precision, precision
        try:
            yield
        finally:
            self.precision = before

    @contextmanager
    def watching(self, position: str, masked: bool = False) -> Iterator[None]:
        """Forward passes that return the features at ``position`` too, as ``Outputs.watched``; then as before.

        ``masked``: as the module there leaves them; before it otherwise.

        Raises:
            ValueError: a position that this network does not have.
        """
        if position not in self.channels:
            raise ValueError(f"{position!r} is no position of this network; allowed: {', '.join(self.channels)}")
        before, self._watch = self._watch, (position, masked)
        try:
            yield
        finally:
            self._watch = before

    def forward(self, x: Tensor, y: Tensor | None = None) -> Outputs:
        """Images (B, channels, size, size) in [0, 1] to predictions; labels ``y`` (B,) in the training forward only."""
        trace = Trace()
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            maps = self.extract((x - self.mean) / self.std if self.normalise else x, y, trace)
        maps = maps.to(self.fc.weight.dtype)
        features = maps.mean((2, 3))
        return Outputs(self.fc(features), tuple(trace.aux), features, maps, tuple(trace.inner), trace.watched)

    def extract(self, x: Tensor, y: Tensor | None, trace: Trace) -> Tensor:
        """The last features (B, C, H, W); every position is visited on the way."""
        raise NotImplementedError

    def insert(self, position: str, module: InsertedModule) -> None:
        """Put ``module`` at ``position``."""
        self.inserted[_key(position)] = module

    def draw_from(self, chance: Generator | None) -> Generator | None:
        """Let the inserted modules draw from ``chance``, on the network's device; returns what they drew from before."""
        before, self._chance = self._chance, chance
        for module in self.modules():
            if isinstance(module, InsertedModule):
                module.chance = chance
        return before

    def visit(self, position: str, z: Tensor, y: Tensor | None, trace: Trace) -> Tensor:
        """Features (B, C, H, W) as the module at ``position`` leaves them; what it says is added to ``trace``."""
        if self._watch == (position, False):
            trace.watched = z
        key = _key(position)
        if key in self.inserted:
            with torch.autocast(z.device.type, enabled=False):
                z, logits, inner = self.inserted[key](z.to(self.fc.weight.dtype), y)
            if logits is not None:
                trace.aux.append(logits)
            if inner is not None:
                trace.inner.append(inner)
        if self._watch == (position, True):
            trace.watched = z
        return z


def _copied(value: Any) -> Any:
    """The same tensors in memory of their own, in any nesting of tuples."""
    if isinstance(value, Tensor):
        return value.clone()
    if isinstance(value, tuple):
        parts = [_copied(part) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    return value


def _key(position: str) -> str:
    return position.replace(".", "_")  # torch allows no dot in a submodule's name


def initialise(network: nn.Module) -> None:
    """He initialisation of the convolutions (normal, fan-out, ReLU: He et al., ICCV 2015, eq. 14), their biases 0.

    Linear layers and batch norms keep torch's own: uniform in +-1 / sqrt(fan-in), and the identity.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
