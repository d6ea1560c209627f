"""Features that a command needs: read where they are saved, embedded where they are not."""

from pathlib import Path

from nearfar.cli.given_data import GivenData, check_takes_files, examples_of, fit_for
from nearfar.data.source_spec import Fit
from nearfar.encoders.saved import Output, load_encoder
from nearfar.run_folder.names import tower_of
from nearfar.training.hardware import choose_hardware
from nearfar.training.ranks import Ranks
from nearfar.training.thread_choice import ThreadChoice
from nearfar.uses.embed import features_of
from nearfar.uses.embeddable import Examples, of_image, of_text
from nearfar.uses.encoder_fingerprint import encoder_fingerprint
from nearfar.uses.features_file import Features, holds_features, load_features


class Embedder:
    """An encoder and how it is used.

    Args:
        path: Run folder, or the encoder's file in it.
        output: Features of the backbone, or the embedding behind its head.
        fit: How images become squares; None as it learnt.
        max_corrupt: Largest share of a folder's images to skip.
        device: As `choose_hardware` takes it.

    Attributes:
        folder: Where it lies.
        tower: Which encoder of its run it is, first or second.
        notes: What a person should know of all that was embedded.
    """

    def __init__(
        self,
        path: Path,
        *,
        output: Output = "features",
        fit: Fit | None,
        max_corrupt: float,
        device: str,
    ) -> None:
        self.path = path
        self.folder = path if path.is_dir() else path.parent
        self.tower = tower_of(path.name)
        self.fit: Fit = fit_for(path, fit)
        self.max_corrupt = max_corrupt
        self.device = choose_hardware(device, "fp32").device
        self.encoder = load_encoder(path, output)
        self.fingerprint = encoder_fingerprint(self.encoder)
        self.encoder = self.encoder.to(self.device)
        self.notes: list[str] = []

    def features(self, given: GivenData) -> Features:
        """Saved features of this encoder, or those of a source, folder or file.

        Raises:
            SettingError: There is nothing there that the encoder takes.
            NearfarError: Saved features are damaged, or of another encoder.
        """
        path = Path(given.word)
        if given.source is None and holds_features(path):
            return self.saved(path)
        examples, workers = examples_of(
            given,
            self.encoder,
            Ranks(),
            fit=self.fit,
            max_corrupt=self.max_corrupt,
            tower=self.tower,
        )
        return self._embedded(examples, workers)

    def saved(self, path: Path) -> Features:
        """Saved features, which must be of this encoder."""
        found = load_features(path)
        found.require_encoder(self.fingerprint, self.path)
        return found

    def image(self, file: Path) -> Features:
        """The features of one image file.

        Raises:
            SettingError: The encoder takes no such files, or there is none.
            NearfarError: It is no image.
        """
        check_takes_files(self.encoder)
        return self._embedded(of_image(self.encoder, file, fit=self.fit), 0)

    def text(self, text: str) -> Features:
        """The features of one text."""
        return self._embedded(of_text(self.encoder, text), 0)

    def _embedded(self, examples: Examples, workers: int) -> Features:
        said: list[str] = []
        with ThreadChoice(self.device, say=said.append) as threads:
            found, notes = features_of(
                self.encoder, examples, device=self.device, workers=workers, threads=threads
            )
        self.notes += [each for each in (*notes, *said) if each not in self.notes]
        return found
