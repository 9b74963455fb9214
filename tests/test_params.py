"""params.yaml: what is valid, and errors that name file, line and key."""

import json
import sys
from pathlib import Path

import pytest
from dvc.utils.hydra import apply_overrides
from hierrec.core.errors import ParamsError
from hierrec.ingest.params import IngestParams
from hierrec.model.params import TrainParams
from hierrec.params import load_params
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

ROOT = Path(__file__).parents[1]

TEXT = (Path(__file__).parents[1] / "params.yaml").read_text("utf-8")


def load(folder: Path, old: str, new: str) -> tuple[Path, int]:
    """Write params.yaml with the first line that starts with `old` replaced; return path and line number."""
    lines = TEXT.splitlines()
    number = next(number for number, line in enumerate(lines) if line.startswith(old))
    lines[number] = new
    while lines[number + 1].startswith("  - "):  # a list of the old value
        del lines[number + 1]
    path = folder / "params.yaml"
    path.write_text("\n".join(lines), "utf-8")
    return path, number + 1


def refused(folder: Path, old: str, new: str) -> str:
    """Return what is said of params.yaml with that line replaced."""
    path, _ = load(folder, old, new)
    with pytest.raises(ParamsError) as caught:
        load_params(path)
    return caught.value.what


def test_the_params_of_the_project_are_valid(tmp_path: Path) -> None:
    path, _ = load(tmp_path, "train:", "train:")
    params = load_params(path)
    assert params.train.learning_rate == 1.5e-3
    assert params.fusion.sources == ("next_items", "items", "co_occurring", "history", "trending")


def test_dvc_writes_the_file_as_it_is(tmp_path: Path) -> None:
    path, _ = load(tmp_path, "train:", "train:")
    apply_overrides(path, ["tune.seed=2"])
    assert path.read_text("utf-8") == TEXT.replace("  seed: 1\n", "  seed: 2\n", 1)


@pytest.mark.parametrize(("text", "value"), [("1", 1.0), ("1e-2", 0.01), ("0.5", 0.5)])
def test_a_whole_number_is_a_number_and_so_is_an_exponent(tmp_path: Path, text: str, value: float) -> None:
    path, _ = load(tmp_path, "  gradient_clip:", f"  gradient_clip: {text}")
    clip = load_params(path).train.gradient_clip
    assert (clip, type(clip)) == (value, float)


@pytest.mark.parametrize(
    ("old", "new", "key", "message"),
    [
        ("  epochs:", '  epochs: "2"', "tune.epochs", "valid integer"),
        ("  epochs:", "  epochs: 2.0", "tune.epochs", "valid integer"),
        ("  epochs:", "  epochs: -1", "tune.epochs", "greater than or equal to 0"),
        ("  seed:", "  seed: true", "tune.seed", "valid integer"),
        ("  seed:", "  seed: null", "tune.seed", "valid integer, not null"),
        ("  epochs:", "  epochs: ten", "tune.epochs", 'valid integer, not "ten"'),
        ("  template:", "  template: ''", "encode.template", "has no placeholder"),
        ("  template:", "  template: '{title'", "encode.template", "a brace stands alone"),
        ("  template:", "  template: '{{title}}'", "encode.template", "a brace stands alone"),
        ("  sources:", "  sources: [nextitems]", "fusion.sources.0", "'next_items'"),
        ("  seed:", "  seeds: 1", "tune.seeds", "not permitted"),
        ("  input_dropout:", "  input_dropout: 1.0", "train.input_dropout", "less than 1"),
        ("  input_dropout:", "  input_dropout: .nan", "train.input_dropout", "finite"),
        ("  gradient_clip:", '  gradient_clip: "1"', "train.gradient_clip", "valid number"),
        ("  template:", "  template: 7", "encode.template", "valid string"),
        (
            "  whitening_dimension:",
            "  whitening_dimension: [9]",
            "encode.whitening_dimension",
            "neither is a",
        ),
        ("  whitening_dimension:", "  whitening_dimension: 0", "encode.whitening_dimension", "greater than"),
        ("  template:", "  template: []", "encode.template", "at least 1 item"),
        ("  temperature:", "  temperature: 0", "tune.temperature", "greater than 0"),
        ("  batch_items:", "  batch_items: 1", "tune.batch_items", "greater than or equal to 2"),
        ("  window:", "  window: 0", "tune.window", "greater than or equal to 1"),
        ("    kind:", "    kind: first", "train.pooling.kind", "'recency'"),
        ("  precision:", "  precision: float64", "encode.precision", "'bfloat16'"),
        ("  precision:", "  precision: float16", "encode.precision", "'bfloat16'"),
        (
            "  precision: float32        # of the model",
            "  precision: float64",
            "train.precision",
            "'bfloat16'",
        ),
        ("  processes:", "  processes: 0", "train.processes", "greater than or equal to 1"),
        ("  processes:", "  processes: 25", "train.processes", "cannot share batches of 24 windows"),
        ("  device:", "  device: gpu", "encode.device", "'cuda'"),
        ("  device: cpu               # cpu | cuda (with", "  device: gpu", "train.device", "'cuda'"),
        ("  seed:", f"  seed: {2**64}", "tune.seed", "less than 9223372036854775808"),
        ("  md5:", "  md5: c4d9", "ingest.md5", "pattern"),
        ("    users:", "    users: -1", "ingest.expected.users", "greater than or equal to 1"),
        ("  kind:", "  kind: pq", "index.kind", "'ivf_pq'"),
        ("  exact_up_to:", "  exact_up_to: -1", "index.exact_up_to", "greater than or equal to 0"),
        ("  recall:", "  recall: 1.5", "index.recall", "less than or equal to 1"),
        ("  overlap:", "  overlap: 1.5", "fusion.overlap", "less than or equal to 1"),
        ("  sources:", "  sources: []", "fusion.sources", "at least 1"),
        ("  sources:", "  sources: items", "fusion.sources", "valid tuple"),
        ("  sources:", "  sources: [next_items, movies]", "fusion.sources.1", "'items'"),
    ],
)
def test_an_error_names_file_line_and_key(tmp_path: Path, old: str, new: str, key: str, message: str) -> None:
    path, line = load(tmp_path, old, new)
    with pytest.raises(ParamsError) as caught:
        load_params(path)
    assert f"{path}, line {line}, key {key}: " in caught.value.what
    assert message in caught.value.what


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("  template:", "  template: ''"),
        ("  template:", "  template: []"),
        ("  template:", "  template: ['{title']"),
        ("  whitening_dimension:", "  whitening_dimension: 0"),
        ("  sources:", "  sources: [nextitems]"),
    ],
)
def test_one_wrong_value_is_one_problem(tmp_path: Path, old: str, new: str) -> None:
    assert refused(tmp_path, old, new).count("params.yaml") == 1


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("  interactions:  ", "  interactions: a.csv", "interactions: is for dataset: files"),
        ("  items:  ", "  items: a.csv", "items: is for dataset: files"),
        ("  where:", "  where: a > 1", "where: is for dataset: files"),
        ("  sources:", "  sources: [items, items]", "names one source twice"),
    ],
)
def test_params_that_contradict_each_other_are_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert message in refused(tmp_path, old, new)


@pytest.mark.parametrize(("first", "second"), [(0.95, 0.9), (2e9, 1e9)])
def test_the_cuts_are_in_order(first: float, second: float) -> None:
    params = load_params(ROOT / "params.yaml").ingest.model_dump() | {"split": "time"}
    with pytest.raises(ValidationError, match="cannot be greater than test_from"):
        IngestParams.model_validate(params | {"validation_from": first, "test_from": second})
    for good in ((second, first), (1e9, 0.9), ("2011-10-01", 0.9)):
        IngestParams.model_validate(params | dict(zip(("validation_from", "test_from"), good, strict=True)))


@pytest.mark.parametrize("date", ["20.02.2025", "2025-02-30"])
def test_a_cut_that_is_no_date_is_refused_before_any_stage(date: str) -> None:
    params = load_params(ROOT / "params.yaml").ingest.model_dump() | {"split": "time", "test_from": date}
    with pytest.raises(ValidationError, match=f"test_from: '{date}' is not a date; write it as 2011-10-01"):
        IngestParams.model_validate(params)


def test_a_date_without_quotes_is_told(tmp_path: Path) -> None:
    said = refused(tmp_path, "  validation_from:", "  validation_from: 2011-10-01")
    assert "not the date 2011-10-01; write it in quotes" in said


@pytest.mark.parametrize(
    ("old", "new", "meant"),
    [
        ("  patience:", "  patiense: 5", "patience"),
        ("    users:", "    user: 6040", "users"),
        ("    kind:", "    knd: last", "kind"),
        ("train:", "trian:", "train"),
    ],
)
def test_a_misspelt_key_is_told_from_the_one_that_was_meant(tmp_path: Path, old: str, new: str, meant: str) -> None:
    path, line = load(tmp_path, old, new)
    with pytest.raises(ParamsError, match=rf"line {line}, key [\w.]+: Extra .*; did you mean {meant}\?"):
        load_params(path)


def test_an_unknown_key_like_no_other_is_named_alone(tmp_path: Path) -> None:
    path, _ = load(tmp_path, "  seed:", "  zzzz: 1")
    with pytest.raises(ParamsError) as caught:
        load_params(path)
    assert "key tune.zzzz: Extra inputs" in caught.value.what
    assert "did you mean" not in caught.value.what


def test_a_missing_key_is_named_with_its_section(tmp_path: Path) -> None:
    path, line = load(tmp_path, "  patience:", "")
    with pytest.raises(ParamsError, match=r"line \d+, key train\.patience: Field required") as caught:
        load_params(path)
    section = TEXT.splitlines().index("train:") + 1
    assert f"line {section}," in caught.value.what
    assert section < line


def test_a_source_may_be_named_once(tmp_path: Path) -> None:
    path, _ = load(tmp_path, "  sources:", "  sources: [items, items]")
    with pytest.raises(ParamsError, match=r"key fusion: .*twice"):
        load_params(path)


@pytest.mark.parametrize("content", [b"", b"- 1\n", b"train: {", b"a: 1\na: 2\n", b"\xff\xfe", None])
def test_a_file_that_is_no_params_yaml_is_a_typed_error(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "params.yaml"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    with pytest.raises(ParamsError, match=r"params\.yaml"):
        load_params(path)


def test_a_missing_file_says_where_to_stand(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match="root of the project"):
        load_params(tmp_path / "params.yaml")


@pytest.mark.parametrize("nested", ["x: " + "[" * 5000, "x: " + "{a: " * 5000, "x: " + "- " * 5000])
def test_a_file_of_thousands_of_levels_is_no_traceback(tmp_path: Path, nested: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(f"{TEXT}\n{nested}\n")
    with pytest.raises(ParamsError, match=r"params\.yaml"):
        load_params(path)


def test_a_seed_of_thousands_of_digits_is_refused(tmp_path: Path) -> None:
    path, _ = load(tmp_path, "  seed:", f"  seed: {'9' * 5001}")
    with pytest.raises(ParamsError, match="digits"):
        load_params(path)


def test_new_weights_are_not_for_a_pretrained_backbone(tmp_path: Path) -> None:
    path, _ = load(tmp_path, "  start:", "  start: new")
    load_params(path)
    path.write_text(path.read_text("utf-8").replace("    pretrained:", "    pretrained: some/llama #"), "utf-8")
    with pytest.raises(ParamsError, match=r"final\.start: new is not for a pre-trained backbone"):
        load_params(path)


@given(
    st.floats(sys.float_info.min, 1e308),
    st.floats(0, 1, exclude_max=True, allow_subnormal=False),  # a test of the same process may flush them to zero
    st.integers(0, 2**63 - 1),
)
def test_what_is_written_is_read_back(rate: float, share: float, seed: int) -> None:
    train = load_params(ROOT / "params.yaml").train.model_dump()
    params = TrainParams(**{**train, "learning_rate": rate, "input_dropout": share, "seed": seed})
    written = json.dumps(params.model_dump(mode="json", exclude_defaults=True))
    assert TrainParams.model_validate(json.loads(written)) == params
