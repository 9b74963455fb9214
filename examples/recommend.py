# Run it cell by cell (VS Code, PyCharm, Jupyter with jupytext), or as a whole: `python examples/recommend.py`,
# in a folder with `artifacts/`: this repository after `dvc repro`, or `.demo/` after `make demo`.

# %% [markdown]
# # Recommendations from Python
# Load the model that was fitted on all items, `artifacts/models/final`, or where it was switched off the measured one,
# `artifacts/models/rag`. A folder names another. The data, the embeddings and the index are found beside it.

# %%
from hierrec import Recommender

recommender = Recommender.load()

# %% [markdown]
# A history is a list of item ids or titles, oldest first. Case, accents, punctuation, article and year may be missing;
# what is unknown or ambiguous is answered with what you may have meant.

# %%
history = ["Toy Story (1995)", "heat", "Matrix, The"]
for item in recommender.recommend(history, k=5):
    print(f"{item.probability:.3f}  {item.title}")

# %% [markdown]
# Why? Each probability is a mixture: of the sequence model, of what others took next who stood where this user
# stands, and of items whose texts are like those of the latest ones.

# %%
best = recommender.recommend(history, k=1, why=True)[0]
assert best.why is not None
print(best.title, {source: round(part, 2) for source, part in best.why.parts.items()})
for evidence in best.why.evidence:
    for match in evidence.matches[:3]:
        print(f"  {evidence.source}: {match.name}, similarity {match.similarity:.2f}")

# %% [markdown]
# A user of the data, with the whole history; nothing of the user's own is retrieved.

# %%
user = recommender.user("42")
print("latest:", ", ".join(item.title for item in user.history[-3:]))
print("next:  ", ", ".join(item.title for item in recommender.recommend(user, k=3)))

# %% [markdown]
# Many at once, in batches; and the scores of the whole catalogue, for whatever you do with them.

# %%
users = [recommender.user(user_id) for user_id in range(1, 101)]
top = recommender.recommend_many(users, k=10)
distinct = {item.item_id for items in top for item in items}
print(f"{len(top)} users, {len(distinct)} different items among their first ten")

scores = recommender.score(history)  # float32 [n]; -inf for what is in the history
print(scores.shape, scores.dtype, recommender.item_ids[int(scores.argmax())] == best.item_id)

# %% [markdown]
# Items with similar texts.

# %%
for item in recommender.similar("Heat (1995)", k=3):
    print(f"{item.similarity:.2f}  {item.title}")
