"""The tokens to which entities belong, and the attention among entities.

Few tokens have an entity, so entity states are stored in slots: a row has S of them, one for each of its linked tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kepipe.nn.attention import Mask
from kepipe.nn.gather import flat, slots, to_device
from kepipe.nn.visibility import Visibility


@dataclass(frozen=True)
class LinkedEntities:
    """`rows`: int [B, T], the row in `vectors` of the entity whose mention starts at each token; 0: none.

    `vectors`: [M, E]; row 0 is all zeros. `known_rows`: a copy of `rows` on the CPU, which can be read without
    synchronising with the device; None: no copy.
    """

    rows: Tensor
    vectors: Tensor
    known_rows: Tensor | None = None


@dataclass(frozen=True)
class EntityPlacement:
    """The tokens to which the slots belong.

    Slot 0 is each row's first token, whether it has an entity or not: as [CLS] it has none and collects those of the
    row. `entities`: int [B, S], the slots' rows in the batch's entity vectors (0: none). `flat`: int [B·S], the slots'
    tokens as flat indices into B·T. `used`: bool [B, S, 1]; unused slots refer to the first token, add nothing and are
    masked. `mask`: the attention mask among slots.
    """

    entities: Tensor
    flat: Tensor
    used: Tensor
    mask: Mask


def place_entities(
    entities_BT: Tensor,
    visibility: Visibility,
    dtype: torch.dtype,
    known_BT: Tensor | None = None,
    *,
    few_shapes: bool = False,
) -> EntityPlacement:
    """The slots of a batch. The attention mask of entities is that of their tokens.

    `dtype` is that of the attention scores; `known_BT`: `entities_BT` on the CPU; `few_shapes`: the number of slots is
    a multiple of an eighth of the length.
    """
    rows, length = entities_BT.shape
    device = entities_BT.device
    linked_BT = (entities_BT if known_BT is None else known_BT) > 0
    linked_BT[:, 0] = True
    b, t = linked_BT.nonzero(as_tuple=True)
    places_BS, _, count_B = slots(b, t, rows, length // 8 if few_shapes else 1)
    places_BS, count_B = (to_device(each, device) for each in (places_BS, count_B))
    used_BS = torch.arange(places_BS.shape[1], device=device) < count_B[:, None]
    seen_BSS = used_BS[:, None, :]
    among_BSS = visibility.among(places_BS)
    if among_BSS is not None:
        seen_BSS = seen_BSS & among_BSS
    bias = torch.zeros((), dtype=dtype, device=device).where(seen_BSS[:, None], torch.finfo(dtype).min)
    return EntityPlacement(
        entities_BT.gather(1, places_BS) * used_BS,
        flat(places_BS, length),
        used_BS[:, :, None],
        Mask(bias),
    )
