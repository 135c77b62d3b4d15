"""`offramp compare`: what it reads, its table, its page."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from offramp.cli import main
from offramp.commands.compare import print_comparison
from offramp.comparison.charts import Family, pareto_chart
from offramp.comparison.headline import headline
from offramp.comparison.layouts import LETTERS, Layout
from offramp.comparison.measures import rows_of
from offramp.comparison.page import comparison_page
from offramp.configs.device import load_device
from offramp.host.build_folder import MANIFEST, manifest_of
from offramp.host.console import make_console
from offramp.pipeline.evaluate import evaluate_plan
from offramp.pipeline.figures import plan_report
from offramp.pipeline.report import Verified, read_report, report_json
from offramp.planner.plan import plan_json
from tests.helpers.layouts import NASTY, small_layout
from tests.helpers.plans import plan_of
from tests.helpers.specs import DATA, write_staged

DEVICE = load_device()


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_staged(tmp_path_factory.mktemp("compare"))


@pytest.fixture(scope="module")
def build(spec: Path) -> Path:
    """What a build leaves that `compare` reads."""
    plan = plan_of(spec)
    folder = spec.parent / "build"
    folder.mkdir()
    (folder / "plan.json").write_text(plan_json(plan.plan, folder))
    (folder / "report.json").write_text(report_json(plan_report(plan, evaluate_plan(plan.plan))))
    (folder / MANIFEST).write_text(manifest_of(folder))
    return folder


class Elements(HTMLParser):
    """All elements with their attributes, and the text outside of style and script."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside not in ("style", "script"):
            self.text += data

    def attributes(self, name: str) -> list[str]:
        return [found[name] or "" for _, found in self.elements if name in found]


@pytest.fixture(scope="module")
def page() -> Elements:
    return Elements(comparison_page([small_layout(), replace(small_layout("plain"), points=())]))


def test_spec_plan_and_build_of_the_same_network_are_equal(
    spec: Path, build: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", str(spec), str(build), str(build / "plan.json")]) == 0
    out = capsys.readouterr().out
    assert re.search(rf"A: staged, spec {spec}, stages: front \(.*% leave here\), main \(.*% leave here\)", out)
    assert f"B: staged, build {build}" in out and "C: staged, plan" in out
    assert "* differs from A" not in out
    row = next(line for line in out.splitlines() if "all stages, cycles" in line).split("│")
    assert row[2].strip() == row[3].strip() == row[4].strip() != ""


def test_without_test_data_none_are_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec, page = write_staged(tmp_path), tmp_path / "page.html"
    spec.write_text(spec.read_text().replace(DATA, ""))
    assert main(["compare", str(spec), "-o", str(page)]) == 0
    out = capsys.readouterr().out
    assert "test data" not in out and f"spec {spec}, stages: front, main\n" in out
    row = next(line for line in out.splitlines() if "accuracy" in line).split("│")
    assert row[2].strip() == "-"
    assert 'id="points"' not in page.read_text()


AUTO = """\
exits: auto
main: main
candidates: [{front: front}]
choose: {data: calibration, accuracy_drop: 60}
"""


def test_what_a_plan_was_chosen_from_is_on_the_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = write_staged(tmp_path)
    spec.write_text(spec.read_text().split("stages:")[0] + AUTO)
    plan, pages = tmp_path / "plan.json", (tmp_path / "plan.html", tmp_path / "spec.html")
    assert main(["plan", str(spec), "-o", str(plan)]) == 0
    for source, page in zip((plan, spec), pages, strict=True):
        assert main(["compare", str(source), "-o", str(page)]) == 0
        assert "on the data that the stages were chosen on" in page.read_text()
    points = [re.findall(r"<th scope=\"row\">A\d+.*", page.read_text()) for page in pages]
    assert points[0] == points[1] != []
    assert "as planned" not in points[0][0]


def test_differences_are_marked_in_words_not_colour_only(
    spec: Path, corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case = corpus / "cases" / "net-mnist"
    assert main(["compare", str(case), str(spec)]) == 0
    out = capsys.readouterr().out
    assert f"A: net-mnist, vendor's program {case}, stages: net-mnist" in out
    row = next(line for line in out.splitlines() if "highest column" in line).split("│")
    assert row[2].strip() == "146 of 768" and re.search(r"-\d+\.\d% \*", row[3])
    assert "* differs from A" in out


def test_many_layouts_come_in_several_tables_with_whole_numbers(
    spec: Path, corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", *[str(spec)] * 3, *[str(corpus / "cases" / "net-mnist")] * 5]) == 0
    out = capsys.readouterr().out
    heads = [line for line in out.splitlines() if line.startswith("┃")]
    letters = [re.findall(r"([A-H]): ", head) for head in heads]
    assert len(heads) > 1 and all(one[0] == "A" for one in letters)
    assert sorted({letter for one in letters for letter in one}) == list("ABCDEFGH")
    assert out.count("146 of 768") == 5 and max(map(len, heads)) <= 110


def test_the_page_is_written(spec: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "new" / "page.html"
    assert main(["compare", str(spec), "-o", str(target)]) == 0
    assert f"written: {target}" in capsys.readouterr().out
    text = target.read_text()
    for name in ("front/0:look", "front/1:guess", "main/0:wide", "main/1:narrow", "main/2:answer"):
        assert name in text


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("gone.yaml", None, "does not exist; expected: a spec (.yaml), a plan (.json), a folder with plan.json"),
        ("notes.txt", "x", "is none of them; expected"),
        ("plan.json", "[]", "is not a plan of format 2"),
    ],
)
def test_what_is_no_layout_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: str | None, message: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_text(content)
    target = tmp_path / "page.html"
    assert main(["compare", str(path), "-o", str(target)]) == 2
    assert f"{path}: {message}" in capsys.readouterr().err
    assert not target.exists()


@pytest.mark.parametrize("content", ["{", "{}", "[]"])
def test_a_broken_report_is_refused(
    build: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    folder = build.parent / f"broken{len(content)}{ord(content[-1])}"
    shutil.copytree(build, folder)
    (folder / "report.json").write_text(content)
    assert main(["compare", str(folder)]) == 2
    assert "is not the report of a build" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("stages", [], "is of no stage; plan.json beside it is of front, main"),
        ("stages", 3, "is damaged (invalid value for type, expected tuple @ it.stages)"),
        ("switches", [{}], "is damaged (required field missing @ it.switches[0]"),
        ("accuracy", {}, "is damaged (required field missing @ it.accuracy.staged"),
        ("accuracy", {"staged": "0.5", "full": 1, "images": 3}, "expected float | None @ it.accuracy.staged"),
        ("choice", {"chosen": {}}, "; and "),
        ("else", 1, "is damaged (extra fields found (else)"),
    ],
)
def test_a_damaged_report_is_refused_with_the_key(
    build: Path, capsys: pytest.CaptureFixture[str], key: str, value: object, reason: str
) -> None:
    folder = build.parent / "strange"
    shutil.copytree(build, folder, dirs_exist_ok=True)
    content = json.loads((build / "report.json").read_text())
    (folder / "report.json").write_text(json.dumps({**content, key: value}))
    assert main(["compare", str(folder)]) == 2
    error = capsys.readouterr().err
    assert f"{folder / 'report.json'}: is " in error and reason in error


def test_a_program_that_is_cut_short_is_refused(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "case"
    shutil.copytree(corpus / "cases" / "net-mnist", folder)
    (folder / "program.npz").write_bytes((folder / "program.npz").read_bytes()[:100])
    assert main(["compare", str(folder)]) == 2
    assert f"{folder / 'program.npz'}: is not an .npz file with plain arrays, or damaged" in capsys.readouterr().err


def test_an_empty_folder_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(tmp_path)]) == 2
    assert "is none of them" in capsys.readouterr().err


def test_more_layouts_than_letters_are_refused(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", *[str(spec)] * (len(LETTERS) + 1)]) == 2
    assert "27 layouts; at most 26 are compared" in capsys.readouterr().err


def cells_of(name: str, *layouts: Layout) -> list[tuple[str, str, bool]]:
    row = next(row for row in rows_of(layouts) if row.name == name)
    return [(cell.text, cell.change, cell.differs) for cell in row.cells]


def test_measures_say_how_much_differs() -> None:
    one = small_layout()
    other = replace(one, accuracy=0.875, stages=one.stages[:1], mean_cycles=None)
    assert cells_of("accuracy", one, other) == [("90.00%", "", False), ("87.50%", "-2.50 points", True)]
    assert cells_of("stages", one, other) == [("2", "", False), ("1", "-1", True)]
    assert cells_of("mean cycles", one, other) == [("~262", "", False), ("-", "", False)]
    assert cells_of("mean cycles", other, one) == [("-", "", False), ("~262", "", False)]
    assert cells_of("worst cycles", one, other) == [("~600", "", False), ("~150", "-75.0%", True)]
    assert cells_of("worst cycles", other, one)[1] == ("~600", "4.0 x", True)
    assert cells_of("weight bytes", one, other) == [("720 (0.2%)", "", False)] * 2


def test_unverified_cycles_say_so_and_are_compared_with_their_kind_only() -> None:
    one = small_layout()
    other = replace(one, device="MAX78002", unverified=True, stages=one.stages[:1])
    assert cells_of("worst cycles", one, other) == [("~600", "", False), ("150 (unverified)", "", False)]
    assert cells_of("worst cycles", other, one) == [("150 (unverified)", "", False), ("~600", "", False)]
    again = replace(one, device="MAX78002", unverified=True)
    assert cells_of("worst cycles", other, again)[1] == ("600 (unverified)", "4.0 x", True)
    assert cells_of("stages", one, other) == [("2", "", False), ("1", "-1", True)]


def test_a_spec_is_read_for_several_devices(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = write_staged(tmp_path)
    assert main(["compare", str(spec), "--device", "MAX78000", "--device", "MAX78002"]) == 0
    shown = capsys.readouterr().out
    assert "A: staged, MAX78000" in shown and "B: staged, MAX78002" in shown
    assert "(unverified) the MAX78000's cycles at the clocks of the MAX78002" in shown
    spec.write_text(spec.read_text() + "device: MAX78002\n")
    assert main(["compare", str(spec), "--device", "MAX78000", "--device", "MAX78002"]) == 0
    assert "B:" not in capsys.readouterr().out


def test_a_device_that_does_not_exist_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = write_staged(tmp_path)
    spec.write_text(spec.read_text() + "device: MAX78002\n")
    assert main(["compare", str(spec), "--device", "MAX78003"]) == 2
    assert "there is no device `MAX78003`" in capsys.readouterr().err


def test_unverified_cycles_are_called_so_and_share_no_chart(capsys: pytest.CaptureFixture[str]) -> None:
    one = small_layout()
    other = replace(one, device="MAX78002", unverified=True)
    both, alone = comparison_page([one, other]), comparison_page([other])
    for page, estimated in ((both, True), (alone, False)):
        assert ("cycles of an inference, estimated" in page) == estimated
        assert "cycles of an inference, unverified" in page
        assert ("other cycles are simulated" in page) == estimated
        assert "unverified: the MAX78000&#39;s cycles" in page
    print_comparison([other], make_console())
    assert "simulated" not in capsys.readouterr().out


def test_estimates_are_marked(page: Elements, capsys: pytest.CaptureFixture[str]) -> None:
    one = small_layout()  # stage main streams
    simulated = replace(one, stages=one.stages[:1])
    assert [text for text, _, _ in cells_of("all stages, cycles", one, simulated)] == ["~511", "110"]
    assert cells_of("all stages, energy (uJ)", one)[0][0] == "~3.00"
    assert "~300" in page.text and "~109" not in page.text  # layers
    assert "~ marks what is estimated" in page.text
    print_comparison([one], make_console())
    assert "~ estimated; other cycles are simulated" in capsys.readouterr().out


def test_the_page_answers_what_is_asked_first(page: Elements) -> None:
    text = " ".join(page.text.split())
    assert "2 stages: front (75.0% leave here), main (25.0% leave here)" in text
    assert "columns 14-767 are free in all processors" in text
    assert "300 (59%)" in text  # of the cycles of all stages
    assert f"in the mean over the test images 209, 52% of it in front/{NASTY}" in text  # 109 + (300 + 100) / 4


def test_what_bound_the_choice_is_said() -> None:
    note = "Only settings that passed a test were chosen from."
    assert note in Elements(comparison_page([replace(small_layout(), points_note=note)])).text


def test_every_layer_is_in_every_picture_it_belongs_to(page: Elements) -> None:
    blocks = Counter(page.attributes("data-layer"))
    # Letter and layer; 2 runs of processors for the weights, 1 bias block, and a box per lane of the tensor.
    assert blocks == {
        f"{letter}{layer}": count for letter in "AB" for layer, count in (("0", 5), ("1", 1), ("2", 2), ("input", 1))
    }
    for layer in small_layout().layers:
        assert page.text.count(layer.name) >= 1  # table
        assert page.text.count(layer.name[:7]) >= 2  # chart, where long names lose their middle
        assert page.text.count(layer.name[-10:]) >= 2


def test_blocks_say_what_they_are(page: Elements) -> None:
    labels = [found["aria-label"] for tag, found in page.elements if found.get("role") == "img"]
    weights = f"front/{NASTY} (stage front) and main/1 (stage main): columns 4-13, processors 0-3, 8-11, 720 bytes"
    assert weights in labels
    assert "main/1 (stage main): quadrant 3, bytes 0-3" in labels
    live = "words 100-139 of instances 1, from `read result of front` to `run main/1`"
    assert f"output of main/0: {live}" in labels
    assert len(labels) == 2 * (1 + 2 + 4)


def test_names_from_files_are_escaped(page: Elements) -> None:
    assert [tag for tag, _ in page.elements].count("script") == 1
    assert NASTY in page.text
    assert f"front/{NASTY[:1]}...{NASTY[-10:]}" in page.text  # the chart's


def test_names_control_nothing() -> None:
    layout = small_layout()
    layers = tuple(replace(layer, name=f"{layer.name}\x1b[31m\u202e") for layer in layout.layers)
    text = comparison_page([replace(layout, layers=layers)])
    assert "\x1b" not in text and "\u202e" not in text and text.count(r"\x1b[31m\u202e") > len(layers)


def test_the_page_needs_nothing_else(page: Elements) -> None:
    text = comparison_page([small_layout()])
    links = [*page.attributes("href"), *page.attributes("xlink:href"), *page.attributes("src")]
    assert all(link.startswith("#") or link == "data:," for link in links)
    assert "@import" not in text and "@font-face" not in text
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", text))
    policy = next(
        found["content"] for _, found in page.elements if found.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy is not None and policy.startswith("default-src 'none'")


def test_identifiers_are_unique_and_all_references_hit(page: Elements) -> None:
    identifiers = page.attributes("id")
    assert len(identifiers) == len(set(identifiers))
    references = [*page.attributes("href"), *page.attributes("xlink:href")]
    assert {one[1:] for one in references if one.startswith("#")} <= set(identifiers)


def test_the_same_layouts_give_the_same_bytes() -> None:
    layouts = [small_layout(), small_layout("other")]
    assert comparison_page(layouts) == comparison_page(layouts)


def test_a_page_without_points_has_no_chart_of_them() -> None:
    text = comparison_page([replace(small_layout(), points=())])
    assert 'id="points"' not in text and 'id="weights"' in text


def test_no_accuracy_above_all_is_drawn() -> None:
    one = replace(small_layout().points[0], accuracy=1.0)
    chart = pareto_chart([Family("A", (one,))], False, "front")
    marks = [float(text) for text in re.findall(r">([\d.]+)</text>", chart)]
    assert 100 in marks and not {101, 102, 104} & set(marks)


def test_points_beyond_the_table_are_counted() -> None:
    one = small_layout()
    many = tuple(replace(one.points[2], name=f"p{number}") for number in range(20))
    assert "11 more points are on the charts" in comparison_page([replace(one, points=(*one.points, *many))])


def test_what_a_plan_is_worth_stands_first(page: Elements) -> None:
    """Before the numbers: the statements, as text whatever they hold."""
    first = page.text.index("1.5 times fewer")
    assert first < page.text.index("not verified") < page.text.index("Numbers Accuracy and cost")
    assert "cycles; " + NASTY in page.text


def test_the_headline_of_a_build_has_its_figures(build: Path) -> None:
    report = read_report(build / "report.json")
    assert report.accuracy and report.accuracy.staged and report.accuracy.full
    assert report.cycles.ratio and report.cycles.mean
    statements = headline(report, "main", 50_000_000)
    assert [one.figure for one in statements] == [
        f"{report.cycles.ratio:.2f} times fewer"
        if report.cycles.ratio >= 1
        else f"{1 / report.cycles.ratio:.2f} times more",
        f"{report.energy.ratio or 0:.2f} times less",
        f"{100 * (report.accuracy.staged - report.accuracy.full):+.2f} points",
        "no guarantee",
        f"{report.stages[0].share or 0:.1%} leave early",
        "not verified",
        "no board",
    ]
    mean, worst = report.cycles.mean, report.cycles.worst
    assert (
        f"{mean:,.0f} ({mean / 50_000:.2f} ms) in the mean, {worst:,} ({worst / 50_000:.2f} ms)"
        in statements[0].sentence
    )
    assert "energy estimated; nothing was measured" in statements[-1].sentence


@pytest.mark.parametrize(("mismatches", "figure"), [(0, "20 verified"), (3, "WRONG")])
def test_the_headline_says_what_was_verified(build: Path, mismatches: int, figure: str) -> None:
    report = replace(read_report(build / "report.json"), verified=Verified(20, mismatches, 1, 1))
    assert headline(report, "main", 50_000_000)[-2].figure == figure


def test_the_headline_leaves_out_what_is_not_known(build: Path) -> None:
    report = read_report(build / "report.json")
    stages = tuple(replace(one, share=None) for one in report.stages)
    cycles, energy = replace(report.cycles, mean=None, ratio=None), replace(report.energy, mean_uj=None)
    without = replace(report, accuracy=None, stages=stages, cycles=cycles, energy=energy)
    assert [one.figure for one in headline(without, "main", 50_000_000)] == ["not verified", "no board"]


def test_test_and_calibration_results_share_no_axis() -> None:
    test = small_layout("test")
    other = replace(small_layout("other"), points_data="data that the stages were chosen on")
    text = comparison_page([test, other])
    assert text.count("<figcaption>Accuracy on the ") == 4
    assert comparison_page([test, small_layout("twin")]).count("<figcaption>Accuracy on the ") == 2
