"""Published numbers stand beside ours only where they are comparable."""

from hierrec.evaluation.comparison import MOVIELENS_1M, PUBLISHED, beside_published

OURS = {
    "hierarchical": {"ndcg@10": 0.175, "recall@10": 0.3, "ndcg@20": 0.2},
    "rag": {"ndcg@10": 0.19, "recall@10": 0.33, "ndcg@20": 0.21},
}


def test_on_movielens_1m_they_stand_in_order() -> None:
    table = beside_published(OURS, {**MOVIELENS_1M, "items": 3883})
    assert table.columns == ["model", "ndcg@10", "recall@10"]
    assert table["model"].to_list() == ["SASRec", "HSTU", "hierarchical", "eSASRec", "FuXi-α", "rag"]
    assert table.row(5) == ("rag", 0.19, 0.33)
    assert table.row(0) == ("SASRec", *PUBLISHED["SASRec"].values())


def test_on_other_data_ours_stand_alone() -> None:
    for name in MOVIELENS_1M:
        table = beside_published(OURS, {**MOVIELENS_1M, name: 20_124})
        assert table["model"].to_list() == ["hierarchical", "rag"]
