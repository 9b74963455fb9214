"""The web application, on a real server, with models of the sample; and its page in a real browser."""

import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
import requests
import uvicorn
from hierrec.serving.recommend import Recommender
from hierrec.web.app import make_app

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

HOSTILE = "<img src=x onerror=\"document.title='owned'\">&amp; \u202e</script>"
HISTORY = ["1", "2", "3"]


@pytest.fixture(scope="module")
def recommenders(tmp_path_factory: pytest.TempPathFactory, artifacts: Path) -> dict[str, Recommender]:
    """Both variants; the item with the first id has a hostile title."""
    data = tmp_path_factory.mktemp("hostile") / "data"
    shutil.copytree(artifacts / "data", data)
    items = pl.read_parquet(data / "items.parquet")
    first = pl.col("item_id") == items["item_id"][0]
    hostile = pl.when(first).then(pl.lit(HOSTILE)).otherwise(pl.col("title"))
    items.with_columns(title=hostile).write_parquet(data / "items.parquet")
    return {name: Recommender.load(artifacts / "models" / name, data=data) for name in ("rag", "hierarchical")}


@pytest.fixture(scope="module")
def address(recommenders: dict[str, Recommender]) -> Iterator[str]:
    """A server's address."""
    app = make_app(recommenders["rag"], ("localhost", "127.0.0.1"), "rag 0123456789ab")
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.05)
        assert thread.is_alive(), "the server did not start"
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


def post(address: str, **asked: Any) -> requests.Response:
    return requests.post(f"{address}/recommend", json=asked, timeout=60)


def test_it_is_healthy(address: str, recommenders: dict[str, Recommender]) -> None:
    answer = requests.get(f"{address}/health", timeout=60).json()
    rag = recommenders["rag"]
    expected = {"variants": ["rag", "hierarchical"], "items": len(rag.item_ids), "users": len(rag.user_ids)}
    assert answer.items() >= {"status": "ok", **expected}.items()


@pytest.mark.parametrize("variant", ["rag", "hierarchical"])
def test_it_recommends_what_the_library_recommends(
    address: str, recommenders: dict[str, Recommender], variant: str
) -> None:
    recommender = recommenders[variant]
    history = recommender.item_ids[:4]
    expected = recommender.recommend(history, 7)
    answer = post(address, history=history, variant=variant, k=7).json()
    got = [(item["item_id"], item["score"], item["probability"]) for item in answer["recommended"]]
    assert got == [(item.item_id, item.score, item.probability) for item in expected]
    assert [item["item_id"] for item in answer["history"]] == history


def test_it_says_why(address: str, recommenders: dict[str, Recommender]) -> None:
    user = recommenders["rag"].user_ids[0]
    first = post(address, user=user, why=True, k=1).json()["recommended"][0]
    assert sum(first["why"]["parts"].values()) == pytest.approx(1)


def test_rules_hold(address: str, artifacts: Path, recommenders: dict[str, Recommender]) -> None:
    user = recommenders["rag"].user_ids[0]
    best = [item["item_id"] for item in post(address, user=user, k=3).json()["recommended"]]
    rest = post(address, user=user, k=2, exclude=best[:1]).json()["recommended"]
    assert [item["item_id"] for item in rest] == best[1:]
    old = post(address, user=user, k=5, where="year < 1980").json()["recommended"]
    years = dict(pl.read_parquet(artifacts / "data" / "items.parquet", columns=["item_id", "year"]).iter_rows())
    assert old
    assert all(years[item["item_id"]] < 1980 for item in old)


def test_it_finds_items_by_part_of_the_title(address: str, recommenders: dict[str, Recommender]) -> None:
    title = recommenders["rag"].item(recommenders["rag"].item_ids[5]).title
    found = requests.get(f"{address}/items", params={"query": title[1:9].upper()}, timeout=60).json()
    assert title in [item["title"] for item in found["items"]]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nope", 404), ("GET", "/recommend", 405), ("DELETE", "/recommend", 405), ("DELETE", "/health", 405)],
)
def test_unknown_paths_and_methods_have_the_same_form_of_error(
    address: str, method: str, path: str, status: int
) -> None:
    response = requests.request(method, f"{address}{path}", timeout=60)
    error = response.json()["error"]
    assert (response.status_code, error["where"]) == (status, f"{method} {path}")
    assert "/openapi.json" in error["remedy"]


def test_similar_items_are_those_of_the_library(address: str, recommenders: dict[str, Recommender]) -> None:
    item = recommenders["rag"].item_ids[3]
    answer = requests.get(f"{address}/similar", params={"item": item, "k": 4}, timeout=60).json()
    expected = recommenders["rag"].similar(item, 4)
    assert [other["item_id"] for other in answer["similar"]] == [other.item_id for other in expected]


@pytest.mark.parametrize(
    ("asked", "status", "said"),
    [
        ({"history": ["no such film at all"]}, 404, "no item is called"),
        ({"user": "nobody"}, 404, "there is no user"),
        ({"history": [], "where": "year >"}, 400, "where"),
        ({"history": [], "exclude": ["no such film at all"]}, 404, "no item is called"),
        ({"history": [], "user": "1"}, 422, "either user or history"),
        ({}, 422, "either user or history"),
        ({"history": [], "k": 0}, 422, "k"),
        ({"history": [], "k": True}, 422, "k"),
        ({"history": [], "k": "5"}, 422, "k"),
        ({"history": [], "exclude_seen": "no"}, 422, "exclude_seen"),
        ({"history": [], "surprise": 1}, 422, "surprise"),
        ({"history": [], "variant": "hierarchical", "why": True}, 400, "retrieves nothing"),
    ],
)
def test_bad_requests_say_what_is_wrong(address: str, asked: dict[str, Any], status: int, said: str) -> None:
    response = post(address, **asked)
    error = response.json()["error"]
    assert response.status_code == status
    assert said in f"{error['where']}: {error['what']}"
    assert error["remedy"]


def test_a_body_that_is_no_json_is_refused(address: str) -> None:
    for body, what in ((b"{", "not JSON"), (b"[1]", "not a JSON object")):
        header = {"content-type": "application/json"}
        response = requests.post(f"{address}/recommend", data=body, headers=header, timeout=60)
        assert response.status_code == 422
        assert response.json()["error"]["what"].startswith(what)
    response = requests.post(f"{address}/recommend", data=b'{"history": []}', timeout=60)
    assert "content-type: application/json" in response.json()["error"]["remedy"]


def test_a_foreign_host_name_is_refused(address: str) -> None:
    response = requests.get(f"{address}/health", headers={"Host": "evil.example"}, timeout=60)
    assert response.status_code == 400


def test_a_hundred_requests_at_once_are_answered_rightly(address: str, recommenders: dict[str, Recommender]) -> None:
    asked = [
        {"user": user, "variant": variant, "k": 3}
        for user in recommenders["rag"].user_ids[:50]
        for variant in ("rag", "hierarchical")
    ]
    expected = [
        [item.item_id for item in recommenders[one["variant"]].recommend(recommenders["rag"].user(one["user"]), 3)]
        for one in asked
    ]
    with ThreadPoolExecutor(100) as pool:
        answers = list(pool.map(lambda one: post(address, **one).json(), asked))
    assert [[item["item_id"] for item in answer["recommended"]] for answer in answers] == expected


def test_the_page_in_a_browser(address: str, recommenders: dict[str, Recommender], browser: "Chrome") -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.wait import WebDriverWait

    def wait(condition: Callable[[], Any]) -> Any:
        return WebDriverWait(browser, 30).until(lambda _: condition())

    rag = recommenders["rag"]

    def ids(variant: str) -> list[str]:
        script = "return [...document.querySelectorAll(arguments[0])].map((row) => row.dataset.id)"
        return browser.execute_script(script, f"#variant-{variant} li")

    def expected(history: list[str], **rules: Any) -> list[str]:
        return [item.item_id for item in rag.recommend(history, 10, **rules)]

    browser.get(f"{address}/")
    wait(lambda: ids("rag") == expected([]) and ids("hierarchical"))

    # Search for the item with the hostile title, by Enter; it joins the history as plain text.
    hostile = rag.item_ids[0]
    browser.find_element(By.ID, "query").send_keys("onerror document")
    match = wait(lambda: browser.find_elements(By.CSS_SELECTOR, "#matches button"))[0]
    assert "onerror" in match.text
    match.click()
    wait(lambda: ids("rag") == expected([hostile]))
    assert browser.title == "hierrec"
    assert not browser.find_elements(By.CSS_SELECTOR, "main img")

    # "not this" leaves the first item out.
    first = expected([hostile])[0]
    browser.find_element(By.CSS_SELECTOR, f"#variant-rag li[data-id='{first}'] button:nth-of-type(3)").click()
    wait(lambda: ids("rag") == expected([hostile], exclude=[first]))

    # An invalid rule is reported, and the page goes on.
    browser.find_element(By.ID, "where").send_keys("year >")
    wait(lambda: browser.find_element(By.ID, "problem").is_displayed())
    browser.find_element(By.ID, "where").send_keys(" 1980")
    wait(lambda: ids("rag") == expected([hostile], exclude=[first], where="year > 1980"))

    browser.find_element(By.CSS_SELECTOR, "#history button").click()
    wait(lambda: browser.find_elements(By.CSS_SELECTOR, "#similar li"))
    refused = [entry for entry in browser.get_log("browser") if "400" not in entry["message"]]
    assert refused == []
