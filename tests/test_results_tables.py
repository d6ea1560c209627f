"""The tables of docs/results.md hold each figure with the form in which features were judged."""

from tests.comparison.fake_runs import record
from tools.results import section

from nearfar.run_folder.folder import RunFolder


def run_of(folder, encoder: tuple[float, str], raw: tuple[float, str]):
    run = RunFolder.create(folder)
    knn = {"k": 20, "temperature": 0.07}
    run.write_evaluation(
        [
            record("knn", encoder[0], **knn, transform=encoder[1]),
            record("knn", 1.0, metric="top5", **knn, transform=encoder[1]),
            record("knn", 0.5, k=20, temperature=0.1, transform="as is"),
            record("knn", raw[0], "raw", **knn, transform=raw[1]),
            record("few_labels", 0.25, labels_per_class=1, values=[0.2, 0.3]),
            record("alignment", 0.123, metric="mean", alpha=2.0),
        ]
    )
    versions = {"nearfar": "0.1.0"}
    run.write_environment(
        {"seconds": 40.0, "hardware": "a machine", "python": "3.11.7", "versions": versions}
    )
    return folder


def test_a_form_is_named_where_all_seeds_chose_it(tmp_path):
    runs = [
        run_of(tmp_path / "0", (0.98, "as is"), (0.9, "centred")),
        run_of(tmp_path / "1", (0.96, "as is"), (0.9, "whitened 1")),
    ]
    text = section("simclr-digits", runs)
    assert "judges the last epoch on 500 test images" in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert rows[2:] == [
        "| kNN, k=20, T=0.07 | 97.0 ± 1.4 (as is) |  | 90.0 (forms differ) |",
        "| kNN, k=20, T=0.1 | 50.0 (as is) |  |  |",
        "| 1 label a class, probe | 25.0 |  |  |",
        "| alignment | 0.123 |  |  |",
    ]
