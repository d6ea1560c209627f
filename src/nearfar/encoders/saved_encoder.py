"""A trained backbone that takes examples as they are."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from nearfar.encoders.encoder_files import EncoderDescription
from nearfar.encoders.example_checks import (
    IMAGES,
    TEXTS,
    check_bytes,
    check_numbers,
    cut_to,
    layout_advice,
    squashed,
)
from nearfar.encoders.feature_maps import feature_maps
from nearfar.encoders.head_specs import HeadSpec
from nearfar.errors import NearfarError
from nearfar.modality import Modality, fixed_sides, in_words
from nearfar.run_folder.manifest import json_checksum
from nearfar.standardising import in_float64, standardised
from nearfar.text_bytes import encoded


class SavedEncoder(nn.Module):
    """A trained backbone that takes examples as they are, in eval mode.

    Attributes:
        backbone: The network itself, on normalised examples; for a timm name, timm's own model.
        config: Backbone and how it is adapted.
        shape: Of one example: `(channels, size, size)` that images are brought to,
            `(channels, steps)` of series, `(features,)` of vectors or `(bytes,)` of texts.
        modality: What the examples are: what the backbone takes.
        head: Projection head behind the backbone; None where features are given.
        num_features: Width of what it gives: of the features, or of the head's embeddings.
        mean: Mean of each channel or feature, of images in 0..1 units, float64 on the CPU whatever
            the network's own type and device; `std` likewise.
        columns: What each feature of the vectors that it learnt from is of a table; None where that
            is not known.
    """

    def __init__(
        self,
        backbone: nn.Module,
        description: EncoderDescription,
        head: tuple[HeadSpec, nn.Module] | None = None,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = None if head is None else head[1]
        self.config = description.encoder
        self.shape = description.shape
        self.modality = description.encoder.takes
        width = description.num_features
        self.num_features = width if head is None else head[0].width(width)
        # No buffers: `.bfloat16()` would leave 8 bits of an offset of any size.
        self.mean = torch.tensor(description.mean, dtype=torch.float64)
        self.std = torch.tensor(description.std, dtype=torch.float64)
        self.columns = description.columns
        self._description = description
        self.eval()

    @property
    def fingerprint(self) -> str:
        """Checksum of all that decides what it gives: weights, head, shape and statistics."""
        held = self._description
        head = None if self.head is None or held.head is None else held.head.weights_sha256
        record = {"weights": held.weights_sha256, "head": head, "shape": list(held.shape)}
        return json_checksum(record | {"mean": list(held.mean), "std": list(held.std)})

    def with_head(self, head: tuple[HeadSpec, nn.Module]) -> "SavedEncoder":
        """The same network, its weights shared, with a head behind it.

        Args:
            head: What `load_head` gave.
        """
        return SavedEncoder(self.backbone, self._description, head)

    def forward(
        self, examples: Shaped[Tensor, " batch *shape"] | Sequence[Any]
    ) -> Float[Tensor, "batch features"]:
        """Features (or embeddings) of images, 0 to 255, of any size, of series, vectors or texts.

        An image of another size is brought to the encoder's, each side by itself, so that the whole
        of it is seen; pad or cut it first where its proportions must stay. Series and vectors are
        normalised in float64: give those with a large offset so.

        Args:
            examples: Images `(batch, channels, height, width)` uint8, series `(batch, channels,
                steps)` or vectors `(batch, features)` of any real type, as the encoder learnt;
                texts as a list of strings or as `nearfar.text_bytes` has them, cut where they are
                longer than those that it learnt.

        Raises:
            NearfarError: The examples are of another kind, or of other channels, steps or features;
                images are not uint8; or a value is not finite.
        """
        rows = examples if isinstance(examples, Tensor) else self._as_rows(examples)
        return self._of_normalised(self._normalised(rows))

    def dense(
        self, images: Shaped[Tensor, " batch *shape"], stage: int = -1
    ) -> Float[Tensor, "batch dim h w"]:
        """Features of each place of images, 0 to 255, of any size: those that are pooled to one.

        An image of another size is brought to the encoder's as `forward` does it, so that the maps
        cover the whole of it. Where the network pools by a mean, as ResNets do, the mean over all
        places is what `forward` gives.

        Args:
            images: `(batch, channels, height, width)` uint8.
            stage: Which of the network's stages: -1 is the last, -2 the one before, whose maps are
                finer.

        Raises:
            NearfarError: The encoder takes no images, gives embeddings, or its network has no such
                maps; or as for `forward`.
        """
        if self.modality != "images":
            raise NearfarError(
                f"features by place are of images, and this encoder takes {self.modality}"
            )
        if self.head is not None:
            raise NearfarError("an embedding has no places: load the encoder with output features")
        examples = self._in_own_type(self._normalised(images))
        return feature_maps(self.backbone, examples, stage)

    def _normalised(self, examples: Tensor) -> Tensor:
        """Examples as the network takes them, checked; images of its own size."""
        self.check(tuple(examples.shape[1:]))
        if self.modality == "texts":
            check_bytes(examples, TEXTS)
            return cut_to(examples, self.shape[0])
        if self.modality != "images":
            check_numbers(examples)
            return standardised(examples, self.mean, self.std)
        check_bytes(examples, IMAGES)
        pixels = squashed(examples.float() / 255, self.shape[1])
        mean, std = (
            each.float().view(-1, 1, 1).to(examples.device) for each in (self.mean, self.std)
        )
        return (pixels - mean) / std

    def _as_rows(self, texts: Sequence[Any]) -> Tensor:
        """Strings as rows of bytes, on the device of the network."""
        if self.modality != "texts" or isinstance(texts, str):
            given = "a string alone" if isinstance(texts, str) else type(texts).__name__
            wanted = "a list of strings" if self.modality == "texts" else "a tensor"
            raise NearfarError(
                f"this encoder takes {in_words(self.modality, self.shape)} as {wanted}, not as "
                f"{given}"
            )
        if wrong := [each for each in texts if not isinstance(each, str)]:
            raise NearfarError(
                f"{len(wrong)} of {len(texts)} texts are no strings (such as "
                f"{type(wrong[0]).__name__}): leave out or fill in what is missing"
            )
        first = next(self.backbone.parameters())
        return encoded(texts, self.shape[0])[0].to(first.device)

    def of_views(
        self,
        views: Shaped[Tensor, " batch *shape"],
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
    ) -> Float[Tensor, "batch features"]:
        """Features (or embeddings) of views that another encoder is trained on.

        Args:
            views: Normalised, of any size if images.
            mean: With which mean of each channel or feature; None: with this encoder's.
            std: Standard deviation of each, likewise.
        """
        images = self.modality == "images"
        own = tuple(self.mean.tolist()), tuple(self.std.tolist())
        given = own if mean is None or std is None else (tuple(mean), tuple(std))
        if given != own:
            there = views.device
            views = views if images and views.dtype != torch.float64 else in_float64(views)
            exact = torch.float32 if images and views.dtype != torch.float64 else torch.float64
            sides = (-1, *[1] * (views.ndim - 2))
            of_views, of_own = (
                [torch.tensor(each, dtype=exact, device=views.device).view(sides) for each in pair]
                for pair in (given, own)
            )
            units = views.to(exact) * of_views[1] + of_views[0]
            views = (units - of_own[0]) / of_own[1]
            if views.device != there:
                views = views.float().to(there)
        return self._of_normalised(squashed(views, self.shape[1]) if images else views)

    def _of_normalised(self, examples: Tensor) -> Tensor:
        """The network's output."""
        features = self.backbone(self._in_own_type(examples))
        return features if self.head is None else self.head(features)

    def _in_own_type(self, examples: Tensor) -> Tensor:
        if self.modality == "texts":
            return examples
        return examples.to(next(self.backbone.parameters(), examples).dtype)

    def check(self, shape: tuple[int, ...], modality: Modality | None = None) -> None:
        """Refuse examples that this encoder cannot take; None where their modality is not known."""
        fixed = fixed_sides(self.modality, self.shape)
        alike = len(shape) == len(self.shape)
        if (
            not alike
            or shape[:fixed] != self.shape[:fixed]
            or modality not in (None, self.modality)
        ):
            given = modality or (self.modality if alike else "examples")
            raise NearfarError(
                f"this encoder takes {in_words(self.modality, self.shape)}, not "
                f"{in_words(given, shape)}"
                + (layout_advice(shape, self.shape) if self.modality == "images" else "")
            )
