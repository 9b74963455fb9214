"""An ablation study of the recommender, and the ranking of cold items by text alone."""
