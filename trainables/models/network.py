"""The base class of all networks: positions for inserted modules, and a linear layer on pooled features."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from trainables import config
from trainables.modules import InsertedModule
from trainables.outputs import Outputs


class Trace:
    """Values collected during one forward pass: predictions and inner values of the modules, and the watched features."""

    def __init__(self) -> None:
        self.aux: list[Tensor] = []
        self.inner: list[Any] = []
        self.watched: Tensor | None = None


class Network(nn.Module):
    """A backbone with modules inserted at some of its positions.

    Attributes:
        channels: number of channels of the features at every position (``block<stage>.<block>``), in forward order.
        unit_features: whether the pooled features are divided by their length (L2 norm) before the linear layer.
        normalise: whether images are first normalised by the model's mean and std; attacks and their eps stay in [0, 1].
        fc: the linear layer on the pooled last features.
        precision: precision of the backbone's layers. Outputs and inserted modules keep the precision of the weights: with the
            8 bits of bf16, logits tie and the logarithms of a Gumbel mask are lost.
    """

    fc: nn.Linear
    mean: Tensor
    std: Tensor

    def __init__(self, model: config.Model) -> None:
        super().__init__()
        self.normalise, self.unit_features = model.normalise, model.unit_features
        # Buffers, so that they move with the network; not saved with its weights.
        for name, numbers in (("mean", model.mean), ("std", model.std)):
            self.register_buffer(name, torch.tensor(numbers)[:, None, None], persistent=False)
        self.channels: dict[str, int] = {}
        self.inserted = nn.ModuleDict()
        self.precision: config.Precision = "fp32"
        self._generator: Generator | None = None
        self._watch: tuple[str, bool] | None = None
        self._graphs = False

    def compile_kernels(self, *, graphs: bool) -> None:
        """Compile all further forward passes. ``graphs``: replay them as CUDA graphs on a GPU."""
        self._graphs = graphs
        self.compile(mode="reduce-overhead" if graphs else None)

    def __call__(self, x: Tensor, y: Tensor | None = None) -> Outputs:
        """Run a forward pass; see :meth:`forward`."""
        outputs: Outputs = super().__call__(x, y)
        # A graph's next replay overwrites its outputs, and attacks use earlier outputs.
        if self._graphs:
            outputs = _copied(outputs)
        return outputs

    @contextmanager
    def computing(self, precision: config.Precision) -> Iterator[None]:
        """Run forward passes in ``precision`` inside the block."""
        before, self.precision = self.precision, precision
        try:
            yield
        finally:
            self.precision = before

    @contextmanager
    def watching(self, position: str, masked: bool = False) -> Iterator[None]:
        """Return the features at ``position`` as ``Outputs.watched`` in forward passes inside the block.

        ``masked``: whether they are taken after the module inserted there, or before it.

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
        """Map images (B, channels, size, size) in [0, 1] to outputs; labels ``y`` (B,) are given in training passes only."""
        trace = Trace()
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            maps = self.extract((x - self.mean) / self.std if self.normalise else x, y, trace)
        maps = maps.to(self.fc.weight.dtype)
        features = maps.mean((2, 3))
        if self.unit_features:
            features = F.normalize(features)
        return Outputs(self.fc(features), tuple(trace.aux), features, maps, tuple(trace.inner), trace.watched)

    def extract(self, x: Tensor, y: Tensor | None, trace: Trace) -> Tensor:
        """Compute the last features (B, C, H, W) of normalised images ``x``, calling :meth:`visit` at every position."""
        raise NotImplementedError

    def insert(self, position: str, module: InsertedModule) -> None:
        """Put ``module`` at ``position``."""
        if module.starts_as_network:
            self.initialise(module)
        self.inserted[_key(position)] = module

    def initialise(self, part: nn.Module) -> None:
        """Initialise the layers of ``part``, the network or a module, as the authors' public code does.

        Here it leaves torch's initialisation, uniform in +-1 / sqrt(fan-in), as the codes of the papers' ResNets do.
        """

    def draw_from(self, generator: Generator | None) -> Generator | None:
        """Set the generator of stochastic modules, on the network's device; return the previous one."""
        before, self._generator = self._generator, generator
        for module in self.modules():
            if isinstance(module, InsertedModule):
                module.generator = generator
        return before

    def visit(self, position: str, z: Tensor, y: Tensor | None, trace: Trace) -> Tensor:
        """Pass features (B, C, H, W) through the module at ``position``, if any, and collect its predictions in ``trace``."""
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
    """Clone the tensors in nested tuples."""
    if isinstance(value, Tensor):
        return value.clone()
    if isinstance(value, tuple):
        parts = [_copied(part) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    return value


def _key(position: str) -> str:
    return position.replace(".", "_")  # torch allows no dot in a submodule's name


def initialise_as_he(part: nn.Module) -> None:
    """Initialise convolutions as He et al. (ICCV 2015, eq. 14: normal, fan-out, ReLU), and all biases with 0.

    The weights of linear layers and batch norms keep torch's initialisation.
    """
    for layer in part.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
        if isinstance(layer, nn.Conv2d | nn.Linear) and layer.bias is not None:
            nn.init.zeros_(layer.bias)
