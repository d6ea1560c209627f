"""Noise-contrastive estimation: a density is learned by telling data from noise."""

import math

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from nearfar.errors import NearfarError
from nearfar.objectives.checks import require_a_row
from nearfar.objectives.precision import in_full_precision


def nce(
    model_of_data: Float[Tensor, " data"],
    noise_of_data: Float[Tensor, " data"],
    model_of_noise: Float[Tensor, " noise"],
    noise_of_noise: Float[Tensor, " noise"],
) -> Float[Tensor, ""]:
    """Logistic noise-contrastive loss (Gutmann & Hyvärinen 2010, equations 3 and 4).

    With `T_d` samples x of data, `T_n` samples y of noise, `ν = T_n / T_d`,
    `G = log p_model − log p_noise` and `h = σ(G − log ν)`, the probability of being data,

        −(1/T_d) ( Σ_x log h(x) + Σ_y log(1 − h(y)) )

    It is least, for many samples, where the model's density is that of the data. A model that is
    not normalised learns its log normaliser as one more parameter, part of its log-density.

    Args:
        model_of_data: The model's log-density of each sample of data, in nats.
        noise_of_data: The noise's log-density of the same samples.
        model_of_noise: The model's log-density of each sample of noise.
        noise_of_noise: The noise's log-density of the same samples.

    Returns:
        The sum over data and noise, divided by the number of data samples, in nats, 0 or above:
        float64 for float64, else float32; `log(1 + ν) + ν log(1 + 1/ν)` where model and noise are
        one. Minus infinity is a density of 0; NaN gives NaN.

    Raises:
        NearfarError: The log-densities of one sample set differ in number, or there are none.

    Source:
        Gutmann and Hyvärinen 2010, Noise-contrastive estimation: A new estimation principle for
        unnormalized statistical models, AISTATS 2010.
    """
    for name, model, noise in (
        ("data", model_of_data, noise_of_data),
        ("noise", model_of_noise, noise_of_noise),
    ):
        if model.ndim != 1 or model.shape != noise.shape:
            raise NearfarError(
                f"log-densities of {name} must be one number a sample from both model and noise,"
                f" and are {tuple(model.shape)} and {tuple(noise.shape)}"
            )
        require_a_row(model, f"nce of {name}")
    log_ratio = math.log(len(model_of_noise) / len(model_of_data))
    data = in_full_precision(model_of_data) - in_full_precision(noise_of_data) - log_ratio
    noise = in_full_precision(model_of_noise) - in_full_precision(noise_of_noise) - log_ratio
    return (F.logsigmoid(data).sum() + F.logsigmoid(-noise).sum()) / -len(data)
