"""What can be inserted in a network, by the names in ``config.Module``."""

from collections import ChainMap

from trainables.config import registry
from trainables.modules.cas import CASModule
from trainables.modules.cifs import CIFSModule
from trainables.modules.fsr import FSRModule
from trainables.modules.inserted import InsertedModule
from trainables.modules.kwta import KWTAModule
from trainables.modules.sap import SAPModule

__all__ = ["MODULES", "InsertedModule"]

#: A class for each name but ``none``.
MODULES: ChainMap[str, type[InsertedModule]] = ChainMap(
    {
        "cas": CASModule,
        "cifs": CIFSModule,
        "fsr": FSRModule,
        "kwta": KWTAModule,
        "sap": SAPModule,
    },
    registry.MODULE.table("classes"),
)
