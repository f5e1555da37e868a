"""The result of a run, for Python and notebooks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kepipe.flow.artifact import Artifact
    from kepipe.studies.scores import Scores

PAGE, HEIGHT = "report.html", 700
"""The report's file name; its height in a notebook, in pixels."""


@dataclass(frozen=True)
class RunResult:
    """A finished run of a pipeline. A notebook shows its report.

    `artifacts`: stage → artifact, in the order of execution, including a study's copies (`pretrain.arm.0`).
    """

    pipeline: str
    run: str
    """Id of the run, as in tracking."""
    workspace: Path
    artifacts: Mapping[str, Artifact]
    copies: frozenset[str] = frozenset()
    """Names of the copies of stages that a study made for its arms and seeds."""

    @property
    def folders(self) -> dict[str, Path]:
        """Stage → the folder of its artifact, which no later run changes."""
        return {name: artifact.folder for name, artifact in self.artifacts.items()}

    @property
    def scores(self) -> dict[str, Scores]:
        """Stage → its scores, for stages that evaluate models: `scores["evaluate"].arms["pretrain"]["perplexity"]` maps
        metric → value with its interval."""
        from kepipe.studies.scores import FILE, from_json, is_scores
        from kg.regular_files import read_json

        files = {name: folder / FILE for name, folder in self.folders.items()}
        read = {name: read_json(file) for name, file in files.items() if file.is_file()}
        return {name: from_json(values) for name, values in read.items() if is_scores(values)}

    def figure(self, stage: str, metric: str) -> float:
        """A metric of a stage, named as in `measure` of a study: `pretrain/perplexity/bits_per_byte` of an evaluation,
        `test/micro_f1` of a fine-tuning, or a logged value such as `final_held_out_loss`.

        Raises KeyError for a stage that did not run, ValueError for an unknown metric.
        """
        from kepipe.studies.reading import read_figure

        return read_figure(self.artifacts[stage], metric, {name: name for name in self.artifacts}).value

    @property
    def report(self) -> Path | None:
        """The report of the last stage that writes one; None if there is none."""
        pages = [folder / PAGE for folder in self.folders.values() if (folder / PAGE).is_file()]
        return pages[-1] if pages else None

    def _repr_html_(self) -> str:
        """The report in a sandboxed frame, without scripts; without a report, the stages and their folders."""
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
