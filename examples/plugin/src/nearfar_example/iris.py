"""The irises as a source."""

from nearfar.data.arrays import source_from_vectors
from nearfar.data.source import Source
from nearfar_example.specs import IrisSpec


def load_iris(spec: IrisSpec) -> Source:
    """Read the irises that scikit-learn ships, always with the same test part."""
    # Imported here: scikit-learn takes a second, and other sources do not need it.
    from sklearn import datasets

    bunch = datasets.load_iris()
    species = bunch.target_names[bunch.target]
    return source_from_vectors(bunch.data, species, test_fraction=0.3, name=spec.name)
