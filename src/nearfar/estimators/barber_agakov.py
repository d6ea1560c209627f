"""Barber and Agakov's bound: how well one variable's distribution is predicted from the other."""

from jaxtyping import Float
from torch import Tensor

from nearfar.errors import NearfarError
from nearfar.objectives.checks import require_a_row
from nearfar.objectives.precision import in_full_precision


def barber_agakov(
    log_q: Float[Tensor, " n"], entropy: float | Float[Tensor, ""]
) -> Float[Tensor, ""]:
    """The bound of Barber & Agakov (2003): entropy less cross-entropy.

    `I(X; Z) ≥ H(Z) + E_p(x,z)[log q(z|x)]`, equal where `q(z|x) = p(z|x)`. For labels z, q is a
    classifier and `−E log q` its cross-entropy. A lower bound on average for any q that has not
    seen the examples, as far as the entropy is known.

    Args:
        log_q: `log q(z_i|x_i)` of each example: of a class a logarithm of its probability, of a
            vector a log-density.
        entropy: H(Z) in nats: of classes (`discrete.label_entropy`), or differential.

    Returns:
        In nats.

    Raises:
        NearfarError: There is no example.
    """
    if log_q.ndim != 1:
        raise NearfarError(f"log_q must be one number an example, and is {tuple(log_q.shape)}")
    require_a_row(log_q, "barber_agakov")
    return entropy + in_full_precision(log_q).mean()
