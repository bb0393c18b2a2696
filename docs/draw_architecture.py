"""Draw what runs where: processes, files, ports, and who asks whom.

    python docs/draw_architecture.py docs/pictures/architecture.svg

Light boxes on a light card, so that the picture also reads on a dark page.
"""

import sys
from pathlib import Path
from typing import NamedTuple

import matplotlib
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch

WIDTH, HEIGHT = 800, 640
INK, GREY = "#1f2933", "#5f6c7b"
PROCESS, FILE, OTHER = "#dbeafe", "#fef3c7", "#ffffff"
EDGES = {PROCESS: "#2563eb", FILE: "#b45309", OTHER: "#5f6c7b"}


class Box(NamedTuple):
    """One process or file: place and size in pixels from the upper left, and what it says."""

    left: float
    top: float
    width: float
    height: float
    title: str
    text: str = ""
    kind: str = PROCESS


BOXES = [
    Box(300, 52, 200, 54, "browser", "the pages of all three servers", OTHER),
    Box(570, 52, 200, 54, "spinforge dashboard", "127.0.0.1:8501, reads runs/"),
    Box(50, 166, 160, 66, "Prefect's server", "127.0.0.1:4200\nschedules, states, logs"),
    Box(320, 166, 160, 66, "workers cpu, gpu", "a process each: two runs\nat a time, and one"),
    Box(590, 166, 160, 66, "MLflow's server", "127.0.0.1:5000\ncurves, registry"),
    Box(
        230,
        296,
        360,
        88,
        "flow run: a process each",
        "of a worker, or the command that was typed\ngenerate, corrupt, train, evaluate, report\n"
        "tasks are threads; several GPUs: a process each",
    ),
    Box(
        190,
        440,
        196,
        68,
        "Dask's workers",
        "processes of that run, on\nloopback; a subject at a time",
    ),
    Box(400, 440, 136, 68, "or a Dask cluster", "at dask.address, as\ntcp://host:8786", OTHER),
    Box(30, 560, 140, 60, "prefect.db", "~/.prefect/,\nor PostgreSQL", FILE),
    Box(190, 560, 180, 60, "dataset.zarr", "runs/NAME/,\nor a URL such as s3://", FILE),
    Box(390, 560, 180, 60, "networks, scores", "and pages\nruns/NAME/", FILE),
    Box(590, 560, 180, 60, "mlflow.db, mlartifacts/", "runs/, or PostgreSQL\nand a folder", FILE),
]


def main(target: Path) -> None:
    """Draw everything into an SVG or PNG file."""
    matplotlib.rcParams |= {"svg.hashsalt": "spinforge", "font.family": "DejaVu Sans"}
    figure = plt.figure(figsize=(WIDTH / 100, HEIGHT / 100), dpi=100)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, WIDTH), ylim=(HEIGHT, 0))
    axes.axis("off")
    card(axes, 2, 2, WIDTH - 4, HEIGHT - 4, "#f8fafc", "#cbd5e1")
    legend(axes)
    card(axes, 20, 128, WIDTH - 40, 122, "#eef2f7", "#94a3b8", dashed=True)
    axes.text(32, 143, "spinforge serve, all on loopback", size=9, color=GREY, va="center")
    for box in BOXES:
        draw(axes, box)
    for arrow in ARROWS:
        draw_arrow(axes, *arrow)
    figure.savefig(target, transparent=True, metadata={"Date": None})


def card(
    axes: Axes,
    left: float,
    top: float,
    width: float,
    height: float,
    fill: str,
    edge: str,
    *,
    dashed: bool = False,
) -> None:
    """A rectangle with round corners."""
    shape = FancyBboxPatch(
        (left + 6, top + 6),
        width - 12,
        height - 12,
        "round,pad=6",
        facecolor=fill,
        edgecolor=edge,
        linewidth=1,
        linestyle="--" if dashed else "-",
    )
    axes.add_patch(shape)


def legend(axes: Axes) -> None:
    """What the colours mean."""
    for left, kind, name in (
        (30, PROCESS, "process"),
        (120, FILE, "files"),
        (190, OTHER, "not started by Spinforge"),
    ):
        card(axes, left, 16, 16, 16, kind, EDGES[kind])
        axes.text(left + 22, 24, name, size=9, color=INK, va="center")


def draw(axes: Axes, box: Box) -> None:
    """A box with its title and text in the middle."""
    card(axes, box.left, box.top, box.width, box.height, box.kind, EDGES[box.kind])
    middle, lines = box.left + box.width / 2, box.text.count("\n") + 1
    first = box.top + box.height / 2 - (7 * lines if box.text else 0)
    axes.text(
        middle, first, box.title, size=9.5, weight="bold", color=INK, ha="center", va="center"
    )
    if box.text:
        below = box.top + box.height / 2 + 9
        axes.text(
            middle, below, box.text, size=8.5, color=INK, ha="center", va="center", linespacing=1.25
        )


Point = tuple[float, float]

ARROWS: list[tuple[Point, Point, str, Point]] = [
    ((340, 106), (190, 166), "", (0, 0)),
    ((460, 106), (610, 166), "", (0, 0)),
    ((500, 79), (570, 79), "", (0, 0)),
    ((320, 199), (210, 199), "ask for runs", (265, 190)),
    ((400, 232), (400, 296), "start", (420, 268)),
    ((250, 296), (180, 232), "states, logs", (172, 268)),
    ((570, 296), (630, 232), "with tracking.uri", (660, 268)),
    ((582, 384), (640, 560), "curves, networks", (662, 462)),
    ((100, 232), (100, 560), "", (0, 0)),
    ((725, 232), (725, 560), "", (0, 0)),
    ((330, 384), (300, 440), "names", (290, 412)),
    ((440, 384), (460, 440), "", (0, 0)),
    ((290, 508), (280, 560), "subjects", (316, 534)),
    ((440, 508), (345, 560), "", (0, 0)),
    ((572, 384), (554, 560), "", (0, 0)),
]
"""From, to, what is said and where."""


def draw_arrow(axes: Axes, start: Point, end: Point, text: str, at: Point) -> None:
    """An arrow, and what goes along it."""
    style = {"arrowstyle": "-|>", "color": GREY, "linewidth": 1, "shrinkA": 0, "shrinkB": 1}
    axes.annotate("", end, start, arrowprops=style)
    if text:
        axes.text(*at, text, size=8.5, color=GREY, ha="center", va="center")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
