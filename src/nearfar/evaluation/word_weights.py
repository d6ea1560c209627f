"""Texts by the words in them (TF-IDF): the baseline that an encoder of texts must beat."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

MOST_WORDS = 2048
"""Words of the vocabulary, the commonest, so that the baseline stays computable."""


def word_weights(texts: Sequence[str], train: Sequence[str]) -> Float[Tensor, "n words"]:
    """How often each word occurs, by 1 + log, times how rare it is (Spärck Jones 1972), length 1.

    Args:
        texts: One row each; zeros where no word of the vocabulary occurs.
        train: Texts that decide the vocabulary and which words are rare.

    Returns:
        scikit-learn's weights of at most 2048 words in lower case, a word being two letters or
        digits or more; of single characters where there is no such word.
    """
    # Imported here: scikit-learn takes a while, and other examples do not need it.
    from sklearn.feature_extraction.text import TfidfVectorizer

    settings = {"max_features": MOST_WORDS, "sublinear_tf": True, "dtype": np.float32}
    try:
        vectorizer = TfidfVectorizer(**settings).fit(train)
    except ValueError:  # no word in any text
        vectorizer = TfidfVectorizer(**settings, analyzer="char")
        vectorizer.fit([text or " " for text in train])
    return torch.from_numpy(vectorizer.transform(texts).toarray())
