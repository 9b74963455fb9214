"""What each part of the recommender contributes, and what text alone does for items never seen in training."""
