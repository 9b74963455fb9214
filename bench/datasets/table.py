"""Render the results as Markdown: the README's table of metrics, and the table of costs per stage."""

from collections.abc import Mapping
from typing import Any

from bench.dvc_stages import stages_of
from stages.workspace import ROOT

TITLES = {
    "beauty": "Beauty",
    "ciao": "Ciao",
    "ml-100k": "MovieLens-100K",
    "ml-1m": "MovieLens-1M",
    "retail": "Online Retail",
    "retail-time": "Online Retail, by time",
}
PEERS = {"sasrec": "RecTools' SASRec, sampled softmax", "esasrec": "RecTools' eSASRec"}
"""Names of the peers in the results; `bench.peers.quality` measures them."""
ROWS = {
    "`hierarchical`": ("hierarchical",),
    "`rag`": ("rag",),
    "`hierarchical`, fitted again": ("refit", "hierarchical"),
    "`rag`, fitted again": ("refit", "rag"),
    "baseline `popularity`": ("baselines", "popularity"),
    "baseline `markov`": ("baselines", "markov"),
    "baseline `neighbours`": ("baselines", "neighbours"),
    "baseline `last_taken`": ("baselines", "last_taken"),
    "SASRec, sampled softmax (RecTools, run here)": ("peers", PEERS["sasrec"]),
    "eSASRec (RecTools, run here)": ("peers", PEERS["esasrec"]),
}
"""For each row, the keys of its metrics in a data set's result; a data set may lack some."""
PUBLISHED = {
    "SASRec, sampled softmax (published)": {"beauty": (0.0531, 0.0921), "ml-1m": (0.1684, 0.2929)},
    "eSASRec (published)": {"beauty": (0.0523, 0.0928), "ml-1m": (0.1772, 0.3133)},
    "BSARec (published)": {"beauty": (0.0611, 0.1008)},
}
"""NDCG@10 and Recall@10 under the same protocol and, on Beauty, in the same order of ties."""


def table(results: Mapping[str, Any]) -> str:
    """Return a Markdown table: a row for each model with a figure, a column for each data set."""
    names = [name for name in TITLES if name in results]
    head = " | ".join(["NDCG@10 / Recall@10", *(_title(name, results[name]) for name in names)])
    lines = [f"| {head} |", "| --- " * (len(names) + 1) + "|"]
    for title, keys in ROWS.items():
        cells = [_measured(results[name], keys) for name in names]
        lines += [_row(title, cells)] if any(cells) else []
    for title, figures in PUBLISHED.items():
        lines.append(_row(title, [_pair(*figures[name]) if name in figures else "" for name in names]))
    return "\n".join(lines)


def cost_table(results: Mapping[str, Any]) -> str:
    """Return a Markdown table: a row for each stage, a column for each data set whose costs were measured."""
    names = [name for name in TITLES if results.get(name, {}).get("seconds")]
    if not names:
        return ""
    head = " | ".join(["CPU seconds / seconds / peak MiB", *(_title(name, results[name]) for name in names)])
    lines = [f"| {head} |", "| --- " * (len(names) + 1) + "|"]
    costs = [[results[name][cost] for cost in ("cpu_seconds", "seconds", "peak_mib")] for name in names]
    pipeline = stages_of(ROOT / "dvc.yaml")
    for stage in pipeline:
        cells = [" / ".join(f"{of[stage]:,.0f}" for of in three if stage in of) for three in costs]
        if any(cells):
            lines.append(_row(f"`{stage}`", cells))
    sums = [(sum(cpu.values()), sum(wall.values()), max(peak.values())) for cpu, wall, peak in costs]
    cells = [" / ".join(f"{value:,.0f}" for value in three) for three in sums]
    return "\n".join([*lines, f"| {' | '.join(['all', *cells])} |"])


def _title(name: str, result: Mapping[str, Any]) -> str:
    """Return the title, with the limit of epochs if it is not the default."""
    epochs = result["params"].get("train.epochs")
    return TITLES[name] if epochs is None else f"{TITLES[name]} (at most {epochs} epochs)"


def _measured(result: Mapping[str, Any], keys: tuple[str, ...]) -> str:
    """Return the figures, and the epoch if the time limit stopped a peer; empty if there are no figures."""
    for key in keys:
        if key not in result:
            return ""
        result = result[key]
    stopped = f" (stopped in epoch {result['epochs']})" if result.get("stopped_by") == "seconds" else ""
    return _pair(result["ndcg@10"], result["recall@10"]) + stopped


def _pair(ndcg: float, recall: float) -> str:
    return f"{ndcg:.4f} / {recall:.4f}"


def _row(title: str, cells: list[str]) -> str:
    return f"| {title} |" + "".join(f" {cell} |" if cell else " |" for cell in cells)
