"""A run at a glance, while it is written in."""

from tests.sweeps.folders_of_runs import write_run

from nearfar.run_folder.glance import glance
from nearfar.run_folder.manifest import Manifest


def test_a_file_that_is_written_meanwhile_is_no_damaged_one(tmp_path, monkeypatch):
    run = write_run(tmp_path / "run")
    before = run.manifest.state()
    run.write_environment(run.read_environment() | {"seconds": 77.0})
    asked, states = [], Manifest.state

    def state(manifest):
        """First what the manifest said before the file was written."""
        asked.append(manifest)
        return before if len(asked) == 1 else states(manifest)

    monkeypatch.setattr(Manifest, "state", state)
    assert glance(run.path).environment["seconds"] == 77.0
