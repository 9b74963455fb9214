"""`hierrec recommend` and `hierrec similar`."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from click.testing import Result
from hierrec import Recommender
from hierrec.index.build import build_index
from hierrec.search.index import ApproximateSearchWarning
from hierrec.store.store import EmbeddingStore

Run = Callable[..., Result]
LINE = re.compile(r" *\d+  (?P<title>.+?) +(?P<probability>\d\.\d{4})")


def test_a_user_is_recommended_what_the_api_recommends(run: Run, artifacts: Path) -> None:
    recommender = Recommender.load(artifacts / "models" / "rag")
    result = run("recommend", "--user", "42", "-k", "12", "--artifacts", str(artifacts))
    assert result.exit_code == 0, result.output
    latest, header, *lines = result.output.splitlines()
    assert latest.startswith("user 42, latest: ")
    assert latest.endswith(recommender.user("42").history[-1].title)
    assert header.split() == ["title", "probability"]
    matches = [LINE.fullmatch(line) for line in lines]
    assert [match["title"] for match in matches if match] == [
        item.title for item in recommender.recommend(recommender.user("42"), k=12)
    ]
    assert len(lines) == 12


@pytest.mark.parametrize("variant", ["hierarchical", "rag"])
def test_a_history_of_titles_as_json(run: Run, artifacts: Path, variant: str) -> None:
    titles = ["--history", "toy story", "--history", "Heat (1995)"]
    result = run("recommend", *titles, "--variant", variant, "-k", "3", "--json", "--artifacts", str(artifacts))
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    assert answer["user"] is None
    assert answer["variant"] == variant
    assert [item["title"] for item in answer["history"]] == ["Toy Story (1995)", "Heat (1995)"]
    expected = Recommender.load(artifacts / "models" / variant).recommend(["Toy Story", "Heat"], k=3)
    assert [item["item_id"] for item in answer["recommended"]] == [item.item_id for item in expected]
    assert [item["probability"] for item in answer["recommended"]] == [item.probability for item in expected]
    assert all(item["why"] is None for item in answer["recommended"])


def test_why_shows_parts_and_what_was_retrieved(run: Run, artifacts: Path) -> None:
    arguments = ["recommend", "--history", "Toy Story", "--why", "-k", "10", "--artifacts", str(artifacts)]
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    history, trust, header, *lines = result.output.splitlines()
    assert history == "history: Toy Story (1995)"
    assert re.fullmatch(r"trust: \d+% model, \d+% next_items, \d+% items, \d+% co_occurring", trust)
    assert header.split() == [
        "title",
        "probability",
        "model",
        "next_items",
        "items",
        "co_occurring",
        "because",
    ]
    assert len(lines) == 10
    assert any("like Toy Story (1995) (0." in line for line in lines)
    why = json.loads(run(*arguments, "--json").stdout)["recommended"][0]["why"]
    assert sum(why["parts"].values()) == pytest.approx(1)
    assert why["evidence"][0]["matches"][0].keys() == {"id", "name", "similarity", "age"}


def test_a_pipe_gets_plain_text(run: Run, artifacts: Path) -> None:
    for command in (["recommend", "--user", "1", "--why"], ["similar", "Heat"]):
        output = run(*command, "--artifacts", str(artifacts)).output
        assert not re.search(r"[\x1b\u2500-\u257f]", output)
        assert all(line == line.rstrip() for line in output.splitlines())


@pytest.mark.parametrize(
    ("arguments", "messages"),
    [
        (
            ["recommend", "--history", "Toy Stroy", "--history", "Jumanjy"],
            ["history: no item is called 'Toy Stroy'; no item is called 'Jumanjy'", "Toy Story (1995), id "],
        ),
        (["recommend", "--user", "nobody"], ["there is no user 'nobody'"]),
        (["similar", "Godfather 2"], ["no item is called 'Godfather 2'", "The Godfather"]),
    ],
)
def test_what_is_not_known_is_answered_with_the_nearest(
    run: Run, artifacts: Path, arguments: list[str], messages: list[str]
) -> None:
    result = run(*arguments, "--artifacts", str(artifacts))
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert all(message in result.stderr for message in messages)


def test_similar_items(run: Run, artifacts: Path) -> None:
    expected = Recommender.load(artifacts / "models" / "hierarchical").similar("Heat (1995)", k=4)
    result = run("similar", "heat", "-k", "4", "--artifacts", str(artifacts))
    assert result.exit_code == 0
    first, header, *lines = result.output.splitlines()
    assert first == "similar to Heat (1995):"
    assert header.split() == ["title", "similarity"]
    matches = [LINE.fullmatch(line) for line in lines]
    assert [match["title"] for match in matches if match] == [item.title for item in expected]
    answer = json.loads(run("similar", "heat", "-k", "4", "--json", "--artifacts", str(artifacts)).stdout)
    assert answer["item"]["title"] == "Heat (1995)"
    assert answer["exact"] is True
    assert [item["item_id"] for item in answer["similar"]] == [item.item_id for item in expected]


def test_fewer_similar_items_than_asked_for_are_explained(run: Run, artifacts: Path) -> None:
    result = run("similar", "heat", "-k", "400", "--artifacts", str(artifacts))
    shown = len(result.stdout.splitlines()) - 2
    assert result.stderr == f"{shown} of 400 items: no other text has a similarity above 0\n"
    assert run("similar", "heat", "-k", "4", "--artifacts", str(artifacts)).stderr == ""


def test_similar_items_of_an_approximate_index_are_called_so(run: Run, artifacts: Path, tmp_path: Path) -> None:
    for folder in ("data", "item_embeddings"):
        shutil.copytree(artifacts / folder, tmp_path / folder)
    store = EmbeddingStore.open(tmp_path / "item_embeddings")
    build_index(store.whitened(), tmp_path / "index", store.hash, "ivf")
    with pytest.warns(ApproximateSearchWarning):
        plain = run("similar", "heat", "--artifacts", str(tmp_path))
    with pytest.warns(ApproximateSearchWarning):
        as_json = run("similar", "heat", "--json", "--artifacts", str(tmp_path))
    shown = subprocess.run(["hierrec", "similar", "heat", "--artifacts", tmp_path], capture_output=True, text=True)
    assert re.fullmatch(r"warning: .*/index: FAISS IVF16,Flat, approximate: recall@20 [01]\.\d{3}\n", shown.stderr)
    heading = r"similar to Heat \(1995\) \(FAISS IVF16,Flat, approximate: recall@20 [01]\.\d{3}\):"
    assert re.fullmatch(heading, plain.output.splitlines()[0])
    assert json.loads(as_json.stdout)["exact"] is False


def test_rules_on_the_command_line(run: Run, artifacts: Path) -> None:
    recommender = Recommender.load(artifacts / "models" / "rag")
    history, place = ["--history", "heat", "--history", "toy story"], ["--artifacts", str(artifacts)]
    names = [item.item_id for item in recommender.recommend(["heat", "toy story"], 12)]
    cases = [
        (["--exclude", names[0], "--exclude", names[3]], {"exclude": [names[0], names[3]]}),
        (["--candidates", names[5], "--candidates", names[2]], {"candidates": [names[5], names[2]]}),
        (["--where", "genres LIKE '%Drama%'"], {"where": "genres LIKE '%Drama%'"}),
        (["--include-seen", "--diversity", "0.4"], {"exclude_seen": False, "diversity": 0.4}),
        (["--exclude-seen"], {"exclude_seen": True}),
    ]
    for arguments, rules in cases:
        result = run("recommend", *history, *arguments, "--json", *place)
        found = [item["item_id"] for item in json.loads(result.stdout)["recommended"]]
        expected = recommender.recommend(["heat", "toy story"], **rules)
        assert found == [item.item_id for item in expected]
    failed = run("recommend", *history, "--exclude", "Toy Stroy", *place)
    assert failed.exit_code == 1
    assert failed.stderr.startswith("error: exclude: no item is called 'Toy Stroy'")


def test_everybody_into_a_file(run: Run, artifacts: Path, tmp_path: Path) -> None:
    out = tmp_path / "all.csv"
    command = ["recommend", "--all", "-k", "3", "--variant", "hierarchical", "--artifacts", str(artifacts)]
    result = run(*command, "--out", str(out), "--where", "year > 1970")
    assert result.exit_code == 0, result.output
    recommender = Recommender.load(artifacts / "models" / "hierarchical")
    users = [recommender.user(user) for user in recommender.user_ids]
    expected = recommender.recommend_table(users, 3, where="year > 1970").drop("history")
    assert pl.read_csv(out)["title"].to_list() == expected["title"].to_list()
    assert f"{len(expected):,} recommendations for {len(users):,} users" in result.stdout
    nothing = run(*command, "--out", str(tmp_path / "none.csv"), "--where", "year > 2999")
    assert nothing.stdout.startswith("0 recommendations")
    assert f"0 of {3 * len(users):,}: the rules" in nothing.stderr
    assert "exists already" in run(*command, "--out", str(out)).stderr
    assert run(*command, "--out", str(out), "--force").exit_code == 0
    assert pl.read_csv(out)["title"].to_list() != expected["title"].to_list()
    (tmp_path / "active.txt").write_text("7\n 2\n\n7\n")
    some = [*command[:1], *command[2:], "--users", str(tmp_path / "active.txt"), "--out"]
    assert "6 recommendations for 2 users" in run(*some, str(tmp_path / "some.csv")).stdout
    table = recommender.recommend_table([recommender.user("7"), recommender.user("2")], 3)
    assert pl.read_csv(tmp_path / "some.csv")["title"].to_list() == table["title"].to_list()
    for content, message in (
        (b"7\nnobody\n", "there is no user 'nobody'"),
        (b"\n", "holds no user"),
        (b"\xff", "UTF-8"),
    ):
        (tmp_path / "active.txt").write_bytes(content)
        assert message in run(*some, str(tmp_path / "other.csv")).stderr
    assert not (tmp_path / "other.csv").exists()
    for wrong in (
        ["--all"],
        ["--out", str(out), "--user", "1"],
        ["--all", "--out", str(out), "--why"],
        ["--all", "--out", str(out), "--users", str(out)],
        ["--out", str(out), "--users", str(out), "--force"],
        [],
    ):
        assert run("recommend", *wrong).exit_code == 2
