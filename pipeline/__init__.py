"""Sequential recommendation with language models, without decoding.

Data flows one way: ``data`` → ``item_llm`` → ``retrieval`` → ``recommender`` → ``evaluation``.
"""

__version__ = "0.1.0"
