# Run this cell by cell or as a script (`python examples/recommend.py`), in a folder with `artifacts/`: this repository
# after `dvc repro`, or `.demo/` after `make demo`. The titles and users below are those of MovieLens and the demo.

# %% [markdown]
# # Recommendations from Python
# This loads the model fitted on all items, `artifacts/models/final`, or else `artifacts/models/rag`, with its data,
# embeddings and index. An argument names another folder.

# %%
from hierrec import Recommender

recommender = Recommender.load()

# %% [markdown]
# A history is a list of item ids or titles, oldest first. Case, accents, punctuation, article and year may be missing.
# An unknown or ambiguous title raises an error with suggestions.

# %%
history = ["Toy Story (1995)", "heat", "Matrix, The"]
for item in recommender.recommend(history, k=5):
    print(f"{item.probability:.3f}  {item.title}")

# %% [markdown]
# With `why=True`, each item has an explanation. Its probability is a mixture of the sequence model, the next items of
# other users in similar states, and items with texts similar to the latest items.

# %%
best = recommender.recommend(history, k=1, why=True)[0]
assert best.why is not None
print(best.title, {source: round(part, 2) for source, part in best.why.parts.items()})
for evidence in best.why.evidence:
    for match in evidence.matches[:3]:
        print(f"  {evidence.source}: {match.name}, similarity {match.similarity:.2f}")

# %% [markdown]
# Recommend to a user of the data, with the whole history. The retrieval skips this user's own sequence.

# %%
user = recommender.user("42")
print("latest:", ", ".join(item.title for item in user.history[-3:]))
print("next:  ", ", ".join(item.title for item in recommender.recommend(user, k=3)))

# %% [markdown]
# Recommend to many users in batches, and score the whole catalogue.

# %%
users = [recommender.user(user_id) for user_id in range(1, 101)]
top = recommender.recommend_many(users, k=10)
distinct = {item.item_id for items in top for item in items}
print(f"{len(top)} users, {len(distinct)} different items among their first ten")

scores = recommender.score(history)  # float32 [n]; -inf for items of the history
print(scores.shape, scores.dtype, recommender.item_ids[int(scores.argmax())] == best.item_id)

# %% [markdown]
# Find items with similar texts.

# %%
for item in recommender.similar("Heat (1995)", k=3):
    print(f"{item.similarity:.2f}  {item.title}")
