"""What a run has made, to be looked at from Python."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kepipe.flow.artifact import Artifact
    from kepipe.studies.scores import Scores

PAGE, HEIGHT = "report.html", 700
"""The file that shows what was found; pixels of it that a notebook shows at once."""


@dataclass(frozen=True)
class RunResult:
    """A run of a pipeline that has finished. A notebook shows its report.

    `artifacts`: stage → what it made, in the order of the work; those of a study's copies too, `pretrain.arm.0`.
    """

    pipeline: str
    run: str
    """Id of the run, by which tracking knows it."""
    workspace: Path
    artifacts: Mapping[str, Artifact]
    copies: frozenset[str] = frozenset()
    """Stages that a study made copies of others for its arms and seeds."""

    @property
    def folders(self) -> dict[str, Path]:
        """Stage → the folder that it made: no later run changes it."""
        return {name: artifact.folder for name, artifact in self.artifacts.items()}

    @property
    def scores(self) -> dict[str, Scores]:
        """Stage → its scores, of the stages that measure models: `scores["evaluate"].arms["pretrain"]["perplexity"]`
        maps metric → value with its interval."""
        from kepipe.studies.scores import FILE, from_json, is_scores
        from kg.regular_files import read_json

        files = {name: folder / FILE for name, folder in self.folders.items()}
        read = {name: read_json(file) for name, file in files.items() if file.is_file()}
        return {name: from_json(values) for name, values in read.items() if is_scores(values)}

    def figure(self, stage: str, metric: str) -> float:
        """A value that a stage has by name, as `measure` of a study names it: `pretrain/perplexity/bits_per_byte` of an
        evaluation, `test/micro_f1` of a fine-tuning, or what a stage logged, `final_held_out_loss`.

        Raises KeyError for a stage that did not run, ValueError for a figure that it does not have.
        """
        from kepipe.studies.reading import read_figure

        return read_figure(self.artifacts[stage], metric, {name: name for name in self.artifacts}).value

    @property
    def report(self) -> Path | None:
        """The page of the last stage that draws one; None where none does."""
        pages = [folder / PAGE for folder in self.folders.values() if (folder / PAGE).is_file()]
        return pages[-1] if pages else None

    def _repr_html_(self) -> str:
        """The report in a frame of its own, in which no script runs and whose page does not reach the notebook's; where
        there is none, the stages and their folders."""
        from kepipe.report.markup import fill, join

        if self.report is not None:
            return fill(
                '<iframe sandbox="" referrerpolicy="no-referrer" style="width: 100%; height: {}px; border: 0" '
                'title="{}" srcdoc="{}"></iframe>',
                HEIGHT,
                f"Report of {self.pipeline}",
                self.report.read_text(encoding="utf-8"),
            )
        rows = [fill("<tr><td>{}</td><td>{}</td></tr>", *row) for row in self.folders.items()]
        return fill("<table><caption>{}</caption>{}</table>", f"{self.pipeline}: run {self.run}", join(rows))
