"""Channel-wise Activation Suppressing (Bai et al., ICLR 2021, section 4)."""

import torch.nn.functional as F
from torch import Tensor, nn

from trainables.config import CAS
from trainables.modules.inserted import InsertedModule, Insertion


class CASModule(InsertedModule):
    """An auxiliary classifier M on pooled features f^ (eq. 2), whose weights of one class are the mask (eq. 3).

    The weights keep their signs, and the mask passes a gradient to them.
    """

    starts_as_network = True

    def __init__(self, spec: CAS, index: int, channels: int, classes: int) -> None:
        super().__init__(spec, index, channels, classes)
        self.suppression = spec.suppression
        self.fc = nn.Linear(channels, classes)

    def forward(self, z: Tensor, y: Tensor | None = None) -> Insertion:
        """Map features (B, C, H, W) to f M_y with the label, or to f M_y^ with the predicted class; return logits too."""
        logits: Tensor = self.fc(z.mean((2, 3)))
        if not self.suppression:
            return Insertion(z, logits)
        mask = (
            self.expected(logits) if self.view == "soft" else F.embedding(logits.argmax(1) if y is None else y, self.fc.weight)
        )
        return Insertion(z * mask[:, :, None, None], logits)

    def expected(self, logits: Tensor) -> Tensor:
        """Return the soft mask (B, C), with the gradient that argmax hides: the classes' weights averaged by probability."""
        return logits.softmax(1) @ self.fc.weight

    @staticmethod
    def head_weights(spec: CAS) -> tuple[float, ...]:
        """Return the weights of eq. 5: 1 for the final prediction, beta / S for each of the S modules."""
        S = len(spec.positions)
        return (1.0, *(spec.beta / S for _ in range(S)))
