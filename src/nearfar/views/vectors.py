"""One random view of every vector of a batch, each with its own choices."""

import torch
from jaxtyping import Float32
from torch import Tensor

from nearfar.views.float_parameters import VectorParameters


def vector_view(
    vectors: Float32[Tensor, "batch features"],
    parameters: VectorParameters,
    generator: torch.Generator,
) -> Float32[Tensor, "batch features"]:
    """Replace features by those of other vectors, mix another vector in, add noise.

    SCARF (Bahri et al. 2022) draws a corrupted feature from all of the training data; here, as
    for the mixture (Verma et al. 2021, DACL), the other vectors are those of the batch.

    Args:
        vectors: Of mean 0 and deviation 1 in each feature, on the device of the views.
        parameters: What to draw from.
        generator: The only source of randomness, on any device.
    """
    batch, _ = vectors.shape
    device, where = vectors.device, {"generator": generator, "device": generator.device}
    corrupted = (torch.rand(vectors.shape, **where) < parameters.corruption).to(device)
    donors = torch.randint(batch, vectors.shape, **where).to(device)
    views = torch.where(corrupted, vectors.gather(0, donors), vectors)
    weight = (parameters.mixup * torch.rand(batch, 1, **where)).to(device)
    partner = torch.randint(batch, (batch,), **where).to(device)
    views = torch.lerp(views, vectors[partner], weight)
    if parameters.noise:
        views = views + parameters.noise * torch.randn(vectors.shape, **where).to(device)
    return views
