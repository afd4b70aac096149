"""What a new run removes from its folder."""

from __future__ import annotations

from pathlib import Path

from weightspace.runs.folder import RunFolder


def test_what_a_start_has_left_that_was_cut_is_removed_unless_a_run_resumes(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    for resuming, kept in (True, True), (False, False):
        (folder.path / "config.yaml").write_text("seed_everything: 0\n")
        (folder.path / "notes.txt").touch()
        lock = folder.lock()
        folder.prepare(lock, resuming=resuming, replacing=False)
        lock.release()
        assert (folder.path / "config.yaml").exists() == kept
        assert (folder.path / "notes.txt").exists()
