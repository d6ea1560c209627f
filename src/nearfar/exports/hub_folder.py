"""A folder as the Hugging Face Hub holds models: weights, configuration and a card."""

from nearfar.encoders.saved_encoder import SavedEncoder
from nearfar.errors import NearfarError
from nearfar.exports.model_card import model_card
from nearfar.exports.timm_folder import timm_files, why_not_timm
from nearfar.recipes.config_json import read_recipe
from nearfar.run_folder import names
from nearfar.run_folder.folder import RunFolder
from nearfar.run_folder.manifest import read_beside_manifest

CARD = "README.md"


def hub_files(
    encoder: SavedEncoder, run: RunFolder, *, licence: str | None = None
) -> dict[str, bytes]:
    """Everything that is uploaded, by name; the card comes last.

    What timm can build by name is stored for timm, anything else for `nearfar.load_encoder`.

    Args:
        encoder: The run's.
        run: With `config.json`; its card tells what `evaluation.json` holds.
        licence: Of the weights, in the Hub's words, such as `cc-by-4.0`; None where nobody has
            said.

    Raises:
        NearfarError: A file of the run is missing or damaged.
    """
    by_timm = why_not_timm(encoder) is None
    if by_timm:
        files = timm_files(encoder)
    else:
        kept = [name for each in names.TOWERS.values() for name in each]
        files = {
            name: read_beside_manifest(run.path, name)
            for name in kept
            if (run.path / name).is_file()
        }
    card = model_card(
        encoder,
        read_recipe(run.path),
        run.read_evaluation() if run.evaluation.exists() else [],
        run.read_environment(),
        licence=licence,
        by_timm=by_timm,
    )
    return files | {CARD: card.encode()}


def upload(files: dict[str, bytes], repository: str) -> str:
    """Make a repository on the Hub, or find it, and upload the files in one commit.

    Args:
        files: What `hub_files` gave.
        repository: `USER/NAME`.

    Returns:
        Where it is.

    Raises:
        NearfarError: The Hub refuses, or cannot be reached.
    """
    from huggingface_hub import CommitOperationAdd, HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    api = HfApi()
    try:
        where = api.create_repo(repository, exist_ok=True)
        api.create_commit(
            repository,
            [CommitOperationAdd(name, content) for name, content in files.items()],
            commit_message="A trained encoder, exported by nearfar",
        )
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise NearfarError(
            f"the Hub did not take {repository}: {reason}; log in with `hf auth login` and try "
            "again: what --out names is written"
        ) from error
    return str(where)
