"""The multiply-adds of a network, from its configuration alone and without torch, so that planning is instant.

Networks with plugins that do not declare their multiply-adds are built, and counted by a forward pass.
"""

from functools import lru_cache

from trainables.config import DatasetInfo, Model, Module


@lru_cache(maxsize=1024)
def multiply_adds(model: Model, module: Module, info: DatasetInfo) -> int:
    """Count multiply-adds of one image's forward pass: convolutions and linear layers, with those of inserted modules."""
    if (places_of := model.architecture.places) is None:
        return _counted(model, module, info)
    places = list(places_of(model.name, model.width, info))
    inserted = [module.multiply_adds(place, info.classes) for place in places if place.position in module.positions]
    known = [work for work in inserted if work is not None]
    if len(known) < len(inserted):
        return _counted(model, module, info)
    return sum(place.work for place in places) + sum(known) + places[-1].channels * info.classes


def _counted(model: Model, module: Module, info: DatasetInfo) -> int:
    """Count multiply-adds of one image's forward pass by building the network and running it."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from trainables.models import build_model

    network = build_model(model, module, info, seed=0).eval()
    network.draw_from(torch.Generator().manual_seed(0))
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        network(torch.zeros(1, info.channels, info.size, info.size))
    return max(1, counter.get_total_flops() // 2)
