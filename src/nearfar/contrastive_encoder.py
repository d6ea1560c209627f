"""Contrastive learning behind scikit-learn's interface: `fit`, then `transform`."""

import math
import tempfile
import warnings
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from nearfar.data.array_likes import refuse_masked, vectors_of
from nearfar.data.estimator_inputs import labelled_by, shapes_of, texts_in
from nearfar.data.pixel_range import PixelRange
from nearfar.data.source import Part, Source
from nearfar.data.specs import NpzSpec, SeriesNpzSpec, VectorsNpzSpec
from nearfar.data.text_specs import TextLinesSpec
from nearfar.encoders.saved import load_encoder
from nearfar.encoders.specs import EncoderSpec
from nearfar.errors import NearfarError
from nearfar.evaluation.features import extract_features
from nearfar.methods.method_spec import MethodSpec
from nearfar.paths import user_path
from nearfar.recipes.assembly import as_saved, assemble
from nearfar.recipes.recipe import Recipe
from nearfar.run_folder.folder import RunFolder
from nearfar.run_folder.names import ENCODER_SETTINGS
from nearfar.spec import as_spec
from nearfar.terminal import Terminal
from nearfar.text_bytes import encoded
from nearfar.torch_defaults import own_defaults
from nearfar.training.hardware import choose_hardware
from nearfar.training.interruption import Interrupted
from nearfar.training.loop import train
from nearfar.training.specs import AdamWSpec, TrainingSpec
from nearfar.views.specs import ViewsSpec

SMALLEST_SIDE = 8
"""Pixels below which the own backbone has nothing to look at: smaller images are enlarged."""
_TEXT_BYTES = 8, 1024
"""Of UTF-8 that a text is given room for: as the longest has, between these."""


class ContrastiveEncoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Learns features of images, series, texts or rows of a table, by SimCLR if none is named.

    Texts are a list, or an array of one axis, of strings, cut at 1024 bytes with a warning.

    Rows `(n, features)` are vectors: each feature is normalised, and views replace and mix values
    of other rows. Series `(n, channels, steps)` are taken where `modality` says so. Images come as
    `(n, height, width)`, `(n, height, width, channels)`, or as rows where `image_shape` is given,
    of any numeric type. Their values are kept as 8 bits: bytes as they are, other types between the
    lowest and the highest value that `fit` saw (what lies outside later is clipped). `transform`
    takes images of the kind that `fit` saw, bytes, whole numbers or floats: 0 to 255 and 0 to 1
    must not be mixed up. SimCLR is Chen et al. 2020.

    Args:
        method: One of `nearfar methods`, by name with the settings below that it has, or a spec of
            it, such as `nearfar.methods.unlabelled_specs.MoCoSpec(queue_size=1024)`, which holds
            them all. Those that learn from labels take them from `fit(X, y)`.
        modality: images, series, vectors or texts; None: strings are texts, rows are vectors and
            all else is images.
        image_shape: `(height, width)` or `(height, width, channels)` of rows that are images, or of
            images whose own shape looks channels first and is not.
        backbone: `small-resnet` (where left out) or `timm/NAME` for images, `mlp` for rows,
            `series-resnet` (where left out) or `series-gru` for series, `text-bag` (where left
            out), `text-gru` or `text-transformer` for texts; CPC takes `patch-gru`,
            `series-gru`, `text-gru` or `text-causal-transformer`.
        start: Weights to begin with: `pretrained` (of a timm backbone), a run's folder, or a file
            of weights; of a run also its backbone, where none is named. None: random ones.
        width: Channels of a ResNet's first stage (32 where left out), or units of the mlp's
            layers or of a token (128).
        views: Preset of the random views: simclr (where left out), moco-v1, moco-v2, byol, paco or
            digits for images; vectors (where left out) or scarf for rows; series for series; text
            (where left out) or simcse for texts.
        temperature: Divides cosine similarities in the loss, above 0; None: as the method has it.
        projection_hidden: Width of the projection head's hidden layer, likewise.
        projection_dim: Width of the embedding that the loss compares, likewise.
        epochs: Passes over the examples.
        batch_size: Examples in a step; fewer where there are fewer examples.
        learning_rate: Highest learning rate of AdamW, above 0; a tenth of the epochs warms up.
        weight_decay: Decay of weights, without batch norm and biases.
        device: auto, cpu, cuda, …
        random_state: Seeds weights, order and views; an int makes `fit` repeatable.
        verbose: Show the progress of training.

    Attributes:
        encoder_: The trained `SavedEncoder`; takes uint8 images, series, vectors or strings.
        image_shape_: `(height, width, channels)` of an image; None of all else.
        series_shape_: `(channels, steps)` of a series; None of all else.
        text_length_: Bytes that a text is cut at; None of all else.
        classes_: What the labels are called, sorted; only where the method read them.
        value_range_: Lowest and highest value, which became 0 and 255 in images; texts have none.
        n_features_in_: Values of an image or of a row; texts have none.
    """

    def __init__(
        self,
        *,
        method: str | MethodSpec = "simclr",
        modality: str | None = None,
        image_shape: tuple[int, ...] | None = None,
        backbone: str | None = None,
        start: str | None = None,
        width: int | None = None,
        views: str | None = None,
        temperature: float | None = None,
        projection_hidden: int | None = None,
        projection_dim: int | None = None,
        epochs: int = 100,
        batch_size: int = 256,
        learning_rate: float = 1e-3,
        weight_decay: float = 1e-4,
        device: str = "auto",
        random_state: int | np.random.RandomState | None = None,
        verbose: bool = False,
    ) -> None:
        self.method = method
        self.modality = modality
        self.image_shape = image_shape
        self.backbone = backbone
        self.start = start
        self.width = width
        self.views = views
        self.temperature = temperature
        self.projection_hidden = projection_hidden
        self.projection_dim = projection_dim
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    @own_defaults()
    def fit(self, X: Any, y: Any = None) -> "ContrastiveEncoder":
        """Learns from examples, and from labels where the method reads them.

        Args:
            X: `(n, height, width[, channels])`, `(n, channels, steps)`, `(n, features)` or n
                strings, n ≥ 2.
            y: A label for each; not used by a method that learns without. Where it is −1, None,
                NaN or an empty string, a method that learns from labels leaves the example out.

        Warns:
            UserWarning: Some have no label, and the method learns from labels.
            ConvergenceWarning: Features or embeddings have become nearly the same for all examples.

        Raises:
            ValueError: The examples do not fit `image_shape`, look channels first, hold NaN or
                masked values, or are fewer than two; or labels are missing or do not fit.
            SettingError: A parameter is impossible.
        """
        method = self._method()
        if (texts := texts_in(X, self.modality)) is not None:
            part = self._fit_texts(texts)
        else:
            rows, own_shape = self._rows(X, reset=True)
            self.text_length_ = None
            self.image_shape_, self.series_shape_ = shapes_of(
                rows.shape[1], own_shape, modality=self.modality, image_shape=self.image_shape
            )
            self._range = PixelRange.of(rows)
            self.value_range_ = (self._range.low, self._range.high)
            part = self._part(rows)
        source = self._source(part, y, method)
        recipe = self._recipe(len(source.train), method)
        assembly = assemble(recipe, source)
        with tempfile.TemporaryDirectory() as folder:
            run = Path(folder) / "run"
            try:
                train(
                    assembly.method,
                    assembly.views,
                    assembly.batches,
                    recipe.training,
                    RunFolder.create(run),
                    seed=recipe.seed,
                    console=Terminal(goes_on=True) if self.verbose else None,
                )
            except Interrupted as error:
                # Its checkpoint goes with the temporary folder, so its advice would be wrong.
                raise KeyboardInterrupt from error
            _warn_of_collapse(RunFolder(run))
        self.encoder_ = as_saved(assembly.method.encoder.cpu(), recipe, assembly.format)
        return self

    @own_defaults()
    def transform(self, X: Any) -> np.ndarray:
        """Features from the encoder in eval mode.

        Args:
            X: Images, series or rows shaped as those of `fit`, or strings where these were.

        Returns:
            `(n, features)` float32.

        Raises:
            NotFittedError: `fit` comes first.
            ValueError: They have another shape, are of another kind of numbers, or hold NaN or
                masked values.
        """
        check_is_fitted(self)
        texts = texts_in(X, self.modality)
        if (texts is None) != (self.text_length_ is None):
            seen, here = ("texts", "none") if texts is None else ("no texts", "strings")
            raise ValueError(f"fit saw {seen}, and X holds {here}")
        if texts is not None:
            return self._features(self._part_of_texts(texts))
        rows, own_shape = self._rows(X, reset=False)
        known = self.image_shape_ or self.series_shape_
        if own_shape is not None and own_shape != known:
            flipped = self.image_shape_ == (*own_shape[1:], own_shape[0])
            kind = "series" if self.series_shape_ else "images"
            raise ValueError(
                f"X holds {kind} of {own_shape}, and fit saw {known}"
                + (": give X.transpose(0, 2, 3, 1)" if flipped else "")
            )
        return self._features(self._part(rows))

    def _features(self, part: Part) -> np.ndarray:
        """Of the examples of a part."""
        device = choose_hardware(self.device, "fp32").device
        try:
            features = extract_features(self.encoder_.to(device), part, device=device)
        finally:
            # Left on the CPU, so that it can be pickled here and read where there is no GPU.
            self.encoder_.cpu()
        return features.numpy()

    @property
    def _n_features_out(self) -> int:
        """For `get_feature_names_out`."""
        return self.encoder_.num_features

    def __sklearn_tags__(self) -> Any:
        """float32 comes back as float32; other types come back as float32 too."""
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        if isinstance(self.method, MethodSpec):
            tags.target_tags.required = self.method.reads_labels
        else:
            known = self.method in MethodSpec.known()
            tags.target_tags.required = known and self._method_kind().needs_labels
        return tags

    def _fit_texts(self, texts: list[str]) -> Part:
        """The texts as a part, with room for the longest, as far as there is any."""
        if len(texts) < 2:
            raise ValueError(f"X: {len(texts)} text, and at least 2 are needed")
        if self.image_shape is not None:
            raise ValueError("image_shape is for images, and X holds strings")
        fewest, most = _TEXT_BYTES
        longest = max(len(text.encode("utf-8", "replace")) for text in texts)
        self.image_shape_ = self.series_shape_ = None
        self.value_range_ = None
        self.text_length_ = min(max(longest, fewest), most)
        return self._part_of_texts(texts)

    def _part_of_texts(self, texts: list[str]) -> Part:
        assert self.text_length_ is not None
        rows, cut = encoded(texts, self.text_length_)
        if cut:
            warnings.warn(
                f"{cut} of {len(texts)} texts are longer than {self.text_length_} bytes: cut",
                UserWarning,
                stacklevel=4,
            )
        return Part(rows, modality="texts")

    def _rows(self, X: Any, *, reset: bool) -> tuple[np.ndarray, tuple[int, ...] | None]:
        """X checked and flat, and the shape of an image or a series where X itself tells it."""
        own_shape = None
        try:
            refuse_masked(X, "X")
        except NearfarError as error:
            raise ValueError(str(error)) from None
        if getattr(X, "ndim", 2) in (3, 4):
            X = np.asarray(X)
            series = self.modality == "series" and X.ndim == 3
            own_shape = X.shape[1:] if series else (*X.shape[1:], 1)[:3]
            X = X.reshape(len(X), math.prod(own_shape))
        fewest = 2 if reset else 1
        rows = cast(np.ndarray, validate_data(self, X, reset=reset, ensure_min_samples=fewest))
        return rows, own_shape

    def _source(self, part: Part, y: Any, method: MethodSpec) -> Source:
        """The examples, with their labels where the method reads them."""
        if not method.reads_labels:
            return Source("array", part)
        if y is None:
            raise ValueError(
                f"requires y to be passed, but the target y is None: {method.title} learns from "
                "labels"
            )
        try:
            part, self.classes_, told = labelled_by(part, y)
        except NearfarError as error:
            raise ValueError(str(error)) from None
        if told:
            warnings.warn(
                f"{told}: {method.title} learns from the others", UserWarning, stacklevel=4
            )
        names = tuple(str(each) for each in self.classes_)
        return Source("array", part, class_names=names)

    def _part(self, rows: np.ndarray) -> Part:
        """Rows as uint8 images `(n, channels, height, width)`, as series or as vectors."""
        if self.series_shape_ is not None:
            return Part(vectors_of(rows, "X").view(-1, *self.series_shape_), modality="series")
        if self.image_shape_ is None:
            return Part(vectors_of(rows, "X"), modality="vectors")
        height, width, channels = self.image_shape_
        images = self._range.to_bytes(rows).reshape(-1, height, width, channels)
        return Part(torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2))))

    def _backbone(self, usual: str, usual_width: int) -> EncoderSpec:
        """The backbone that is asked for; ours have the usual width where none is given."""
        if self.start is not None and self.backbone is None and self.width is None:
            run = user_path(self.start)
            if (run / ENCODER_SETTINGS).is_file():
                return replace(load_encoder(run).config, start=self.start)
        kind = EncoderSpec.named(self.backbone or usual)
        ours = "width" in {each.name for each in fields(kind)}
        width = self.width or (usual_width if ours else None)
        settings: dict[str, Any] = {} if width is None else {"width": width}
        return as_spec(
            EncoderSpec, {"name": self.backbone or usual, "start": self.start, **settings}
        )

    def _method_kind(self) -> type[MethodSpec]:
        """What is asked for, by name or by a spec."""
        if isinstance(self.method, MethodSpec):
            return type(self.method)
        return MethodSpec.named(self.method)

    def _method(self) -> MethodSpec:
        """The method with the settings that are given."""
        given = {
            "temperature": self.temperature,
            "projection_hidden": self.projection_hidden,
            "projection_dim": self.projection_dim,
        }
        settings: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
        if isinstance(self.method, MethodSpec):
            if settings:
                raise ValueError(
                    f"method is a spec, which holds all settings: set {', '.join(settings)} in it"
                )
            return self.method
        names = {each.name for each in fields(self._method_kind())}
        if "temperature" in settings and "temperature" not in names and "objective" in names:
            settings["objective"] = {"name": "nt_xent", "temperature": settings.pop("temperature")}
        return as_spec(MethodSpec, {"name": self.method, **settings})

    def _recipe(self, count: int, method: MethodSpec) -> Recipe:
        """The parameters as a typed run."""
        if self.text_length_ is not None:
            views = as_spec(ViewsSpec, {"name": self.views or "text"})
            usual = "text-gru" if method.needs_steps else "text-bag"
            encoder, kind = self._backbone(usual, 128), TextLinesSpec
        elif self.series_shape_ is not None:
            views = as_spec(ViewsSpec, {"name": self.views or "series"})
            usual = "series-gru" if method.needs_steps else "series-resnet"
            encoder, kind = self._backbone(usual, 32), SeriesNpzSpec
        elif self.image_shape_ is None:
            views = as_spec(ViewsSpec, {"name": self.views or "vectors"})
            encoder, kind = self._backbone("mlp", 128), VectorsNpzSpec
        else:
            side = max(min(self.image_shape_[:2]), SMALLEST_SIDE)
            views = as_spec(ViewsSpec, {"name": self.views or "simclr", "size": side})
            usual = "patch-gru" if method.needs_steps else "small-resnet"
            encoder, kind = self._backbone(usual, 32), NpzSpec
        return Recipe(
            recipe="ContrastiveEncoder",
            # As a file of such arrays would be; all are learnt from, as there is no check.
            data=kind(held_out=0.0),
            seed=int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max)),
            views=views,
            encoder=encoder,
            method=method,
            training=TrainingSpec(
                epochs=self.epochs,
                batch_size=min(self.batch_size, count),
                optimizer=AdamWSpec(
                    learning_rate=self.learning_rate, weight_decay=self.weight_decay
                ),
                device=self.device,
                threads=torch.get_num_threads(),
                knn_every=0,
                checkpoint_every=max(self.epochs, 1),
            ),
        )


def _warn_of_collapse(run: RunFolder) -> None:
    """Tell of a representation that was collapsed when the training ended."""
    told = [line for line in run.read_metrics() if line["kind"] in ("collapsed", "recovered")]
    if told and told[-1]["kind"] == "collapsed":
        what, _, _ = told[-1]["told"].partition("): ")
        warnings.warn(
            f"{what}): the features tell little of them; try a lower learning_rate, or other "
            "settings of the method",
            ConvergenceWarning,
            stacklevel=4,
        )
