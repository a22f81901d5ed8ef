"""Inner products of the Gram matrices of several pictures, and their gradient, without a loop over pairs.

    G_i = F_i F_i^T / N        P_ij = <G_i, G_j>        dL/dF_i = 2/N [sum over j of (D_ij + D_ji) G_j] F_i,   D = dL/dP

Autograd would keep the two factors of a Gram matrix apart and multiply twice on the way back; the sum over j is
symmetric, so that one product a picture is enough. Where the pictures have fewer positions together than channels,
<G_i, G_j> is |F_i^T F_j|^2 / N^2, and no Gram matrix is ever made.

bfloat16 features stay so for the two large products, which sum in float32 inside: a Gram matrix is rounded once, and
all that is made of it is float32. A cosine moves by 1e-5 or so, less than by the rounding of the features themselves.

Source: the Gram matrix of Gatys et al. 2015 (arXiv 1505.07376); compared between pictures by Olah et al. 2017
("Diversity").
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def gram_products(features: Tensor) -> Tensor:
    """(g, n, n) inner products of the Gram matrices F F^T / N of n rows in each of g groups, in float32.

    features: (g, n, c, N); bfloat16 is multiplied as it is, all else in float32.
    """
    rows, channels, count = features.shape[1:]
    if rows * count > channels:
        products: Tensor = _GramProducts.apply(features if features.dtype is torch.bfloat16 else features.float())
        return products
    columns = features.float().transpose(1, 2).flatten(2)
    meetings = (columns.mT @ columns / count).square()
    return meetings.view(-1, rows, count, rows, count).sum((2, 4))


class _GramProducts(torch.autograd.Function):
    """`gram_products` by Gram matrices; it keeps them and the features."""

    @staticmethod
    def forward(ctx: Any, features: Tensor) -> Tensor:
        flat = features.flatten(0, 1)
        grams = torch.baddbmm(flat.new_zeros(1), flat, flat.mT, beta=0, alpha=1 / flat.shape[2])
        ctx.save_for_backward(features, grams)
        each = grams.view(*features.shape[:2], -1).float()
        return each @ each.mT

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        features, grams = ctx.saved_tensors
        shares = (gradients[0] + gradients[0].mT) * (2 / features.shape[3])
        pulls = (shares @ grams.view(*features.shape[:2], -1).float()).to(features.dtype).view_as(grams)
        flat = features.flatten(0, 1)
        beside = flat.stride(1) == 1  # channels lie side by side, as they then do in the gradient
        gradient: Tensor = (flat.mT @ pulls).mT if beside else pulls @ flat
        return gradient.view(features.shape)
